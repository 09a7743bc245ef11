"""Puts the store of sagas together from real parts: Postgres, and Kafka for unknown schemas."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from connectors.postgres.database import Database
from connectors.postgres.saga_store import PostgresSagaStore
from connectors.store_plan import StorePlan
from schemas.codec import Codec
from streams.impatient_schemas import ImpatientSchemas
from streams.kafka.schema_topic import open_schemas


@asynccontextmanager
async def saga_store(plan: StorePlan) -> AsyncIterator[PostgresSagaStore]:
    """A store that is ready; closes its connections behind the block."""
    codec = Codec(plan.catalog, keys=plan.keys)
    async with open_schemas(plan.kafka, codec) as (schemas, _), Database(plan.postgres) as database:
        yield PostgresSagaStore(database, plan.catalog, codec, ImpatientSchemas(schemas))
