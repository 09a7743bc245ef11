"""Puts a store sink together from real parts: Kafka on one side, Postgres on the other."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from connectors.backoff import delays, until_available
from connectors.postgres.database import Database
from connectors.postgres.migrations import migrate
from connectors.postgres.sink_target import PostgresSinkTarget
from connectors.settings import PostgresSettings, SinkSettings
from connectors.sink_reading import SinkReading
from connectors.sink_status import StepListener
from connectors.store_sink import SinkEdges, StoreSink
from schemas.catalog import Catalog
from schemas.codec import Codec
from streams.impatient_schemas import ImpatientSchemas
from streams.kafka.group import KafkaGroupReader
from streams.kafka.schema_topic import KafkaWriterSchemas
from streams.kafka.sender import KafkaSender
from streams.reading import EventReading
from streams.settings import KafkaSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkPlan:
    """Which Kafka, which Postgres, and how. `topic_id` is Kafka's id of `store.events`."""

    kafka: KafkaSettings
    postgres: PostgresSettings
    topic_id: str
    catalog: Catalog
    sink: SinkSettings = field(default_factory=SinkSettings)


@asynccontextmanager
async def store_sink(
    plan: SinkPlan, on_step: StepListener = lambda _step: None
) -> AsyncIterator[StoreSink]:
    """A sink that is ready to run; closes its connections behind the block."""
    codec = Codec(plan.catalog)
    async with AsyncExitStack() as closing:
        sender = KafkaSender(plan.kafka)
        closing.push_async_callback(sender.close)
        schemas = KafkaWriterSchemas(plan.kafka, sender, codec)
        closing.push_async_callback(schemas.close)
        database = await closing.enter_async_context(Database(plan.postgres))
        reading = EventReading(codec, ImpatientSchemas(schemas), wants=lambda _type: True)
        edges = SinkEdges(
            readers=lambda listener: KafkaGroupReader(
                plan.kafka, plan.sink.group, (plan.sink.topic,), listener
            ),
            sender=sender,
            target=PostgresSinkTarget(database),
            reading=SinkReading(reading, with_json=plan.sink.stores_json),
            clock=lambda: datetime.now(UTC),
            counted=(sender,),
        )
        yield StoreSink(edges, topic_id=plan.topic_id, settings=plan.sink, on_step=on_step)


async def migrate_when_available(settings: PostgresSettings, stop: asyncio.Event) -> None:
    """Apply the migrations, as soon as Postgres answers or `stop` is set."""
    await until_available(
        lambda: migrate(settings),
        schedule=delays(0.2, 5.0),
        stop=stop,
        waiting=lambda _code: None,
    )
