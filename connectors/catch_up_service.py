"""Puts a catch-up subscription together from real parts: history in Postgres, the tail in Kafka."""

from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass

from connectors.catch_up import CatchUp, CatchUpEdges
from connectors.postgres.catch_up import PostgresStoredRecords
from connectors.postgres.database import Database
from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.key_ring import KeyRing
from schemas.topics import STORE_EVENTS
from streams.impatient_schemas import ImpatientSchemas
from streams.kafka.fetcher import KafkaFetcher
from streams.kafka.schema_topic import open_schemas
from streams.reading import EventReading
from streams.settings import KafkaSettings


def every_type(event_type: str) -> bool:
    """The answer of a subscription that wants all events."""
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class CatchUpPlan:
    """What is read. `topic_id` is Kafka's id of the archive; `wants` is asked for each type."""

    kafka: KafkaSettings
    topic_id: str
    partitions: Collection[int]
    catalog: Catalog
    wants: Callable[[str], bool] = every_type
    topic: str = STORE_EVENTS
    keys: KeyRing | None = None


@asynccontextmanager
async def catch_up(plan: CatchUpPlan, database: Database) -> AsyncIterator[CatchUp]:
    """A subscription that is ready to be read; closes its connections to Kafka behind the block."""
    codec = Codec(plan.catalog, keys=plan.keys, upcasts=True)
    async with open_schemas(plan.kafka, codec) as (schemas, _):
        edges = CatchUpEdges(
            stored=PostgresStoredRecords(database),
            reading=EventReading(codec, ImpatientSchemas(schemas), plan.wants),
            open_fetcher=lambda: KafkaFetcher(plan.kafka),
            topic=plan.topic,
        )
        yield CatchUp(edges, plan.topic_id, plan.partitions)
