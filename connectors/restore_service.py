"""Puts a restore together from real parts: Kafka on one side, Postgres on the other."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from connectors.postgres.database import Database
from connectors.postgres.restore_target import PostgresRestoreTarget
from connectors.settings import PostgresSettings
from connectors.sink_reading import SinkReading
from connectors.store_restore import RestoreEdges, RestoreListener, StoreRestore
from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.topics import STORE_EVENTS
from streams.impatient_schemas import ImpatientSchemas
from streams.kafka.fetcher import KafkaFetcher
from streams.kafka.schema_topic import open_schemas
from streams.reading import EventReading
from streams.records import TopicPartition
from streams.settings import KafkaSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class RestorePlan:
    """Which Kafka, which Postgres, and how. `topic_id` is Kafka's id of `store.events`."""

    kafka: KafkaSettings
    postgres: PostgresSettings
    topic_id: str
    catalog: Catalog
    topic: str = STORE_EVENTS
    batch_records: int = 4_000
    stores_json: bool = True
    """Whether `events.data` is filled for people who query with SQL."""


def _silent(_done: int, _total: int) -> None:
    """Tells nobody."""


@asynccontextmanager
async def store_restore(
    plan: RestorePlan, on_progress: RestoreListener = _silent
) -> AsyncIterator[StoreRestore]:
    """A restore that is ready to run; closes its connections behind the block."""
    codec = Codec(plan.catalog)
    async with open_schemas(plan.kafka, codec) as (schemas, _), Database(plan.postgres) as database:
        reading = EventReading(codec, ImpatientSchemas(schemas), wants=lambda _type: True)
        edges = RestoreEdges(
            fetchers=lambda: KafkaFetcher(plan.kafka),
            target=PostgresRestoreTarget(database),
            reading=SinkReading(reading, with_json=plan.stores_json),
        )
        partitions = range(plan.kafka.partitions)
        yield StoreRestore(
            edges,
            topic_id=plan.topic_id,
            sources=[TopicPartition(plan.topic, number) for number in partitions],
            batch_records=plan.batch_records,
            on_progress=on_progress,
        )
