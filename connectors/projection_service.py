"""Puts projections together from real parts: Postgres, and Kafka for schemas of newer producers."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from connectors.postgres.database import Database
from connectors.postgres.history import PostgresHistory
from connectors.postgres.projection_store import PostgresProjectionStore
from connectors.projector import Projector
from connectors.settings import PostgresSettings
from connectors.version_fold import ProjectionEdges
from schemas.catalog import Catalog
from schemas.codec import Codec
from streams.impatient_schemas import ImpatientSchemas
from streams.kafka.schema_topic import KafkaWriterSchemas
from streams.kafka.sender import KafkaSender
from streams.settings import KafkaSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectionPlan:
    """Which Kafka, which Postgres, which schemas."""

    kafka: KafkaSettings
    postgres: PostgresSettings
    catalog: Catalog


@asynccontextmanager
async def projection_edges(plan: ProjectionPlan) -> AsyncIterator[ProjectionEdges]:
    """History and rows; Kafka is asked for nothing but schemas that this release does not have."""
    codec = Codec(plan.catalog)
    async with AsyncExitStack() as closing:
        sender = KafkaSender(plan.kafka)
        closing.push_async_callback(sender.close)
        schemas = KafkaWriterSchemas(plan.kafka, sender, codec)
        closing.push_async_callback(schemas.close)
        database = await closing.enter_async_context(Database(plan.postgres))
        yield ProjectionEdges(
            history=PostgresHistory(database, codec, ImpatientSchemas(schemas)),
            store=PostgresProjectionStore(database),
        )


async def run_projectors(projectors: Sequence[Projector], stop: asyncio.Event) -> None:
    """Run all until `stop`; when one cannot go on at all, the others end too, and it is raised."""
    async with asyncio.TaskGroup() as running:
        for projector in projectors:
            running.create_task(projector.run(stop), name=f"projection {projector.name}")
