"""Puts a store sink together from real parts: Kafka on one side, Postgres on the other."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
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
from connectors.traced_target import traced_target
from schemas.catalog import Catalog
from schemas.codec import Codec
from streams.impatient_schemas import ImpatientSchemas
from streams.kafka.group import KafkaGroupReader
from streams.kafka.schema_topic import open_schemas
from streams.reading import EventReading
from streams.settings import KafkaSettings
from streams.tracing import Tracing


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkPlan:
    """Which Kafka, which Postgres, and how. `topic_id` is Kafka's id of `store.events`.

    With `tracing` each stored batch has a span.
    """

    kafka: KafkaSettings
    postgres: PostgresSettings
    topic_id: str
    catalog: Catalog
    sink: SinkSettings = field(default_factory=SinkSettings)
    tracing: Tracing | None = None


@asynccontextmanager
async def store_sink(
    plan: SinkPlan, on_step: StepListener = lambda _step: None
) -> AsyncIterator[StoreSink]:
    """A sink that is ready to run; closes its connections behind the block."""
    codec = Codec(plan.catalog)
    async with (
        open_schemas(plan.kafka, codec) as (schemas, sender),
        Database(plan.postgres) as database,
    ):
        reading = EventReading(codec, ImpatientSchemas(schemas), wants=lambda _type: True)
        edges = SinkEdges(
            readers=lambda listener: KafkaGroupReader(
                plan.kafka, plan.sink.group, (plan.sink.topic,), listener
            ),
            sender=sender,
            target=traced_target(PostgresSinkTarget(database), plan.tracing),
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
