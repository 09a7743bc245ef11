"""Puts the store of sagas together from real parts: Postgres, and Kafka for unknown schemas."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from connectors.postgres.database import Database
from connectors.postgres.saga_store import PostgresSagaStore
from connectors.settings import PostgresSettings
from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.key_ring import KeyRing
from streams.impatient_schemas import ImpatientSchemas
from streams.kafka.schema_topic import KafkaWriterSchemas
from streams.kafka.sender import KafkaSender
from streams.settings import KafkaSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class SagaPlan:
    """Which Kafka, which Postgres, which schemas."""

    kafka: KafkaSettings
    postgres: PostgresSettings
    catalog: Catalog
    keys: KeyRing | None = None


@asynccontextmanager
async def saga_store(plan: SagaPlan) -> AsyncIterator[PostgresSagaStore]:
    """A store that is ready; closes its connections behind the block."""
    codec = Codec(plan.catalog, keys=plan.keys)
    async with AsyncExitStack() as closing:
        sender = KafkaSender(plan.kafka)
        closing.push_async_callback(sender.close)
        schemas = KafkaWriterSchemas(plan.kafka, sender, codec)
        closing.push_async_callback(schemas.close)
        database = await closing.enter_async_context(Database(plan.postgres))
        yield PostgresSagaStore(database, plan.catalog, codec, ImpatientSchemas(schemas))
