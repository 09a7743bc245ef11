"""A process that fires the deadlines of the probe saga until SIGTERM. Argument: the DSN."""

from __future__ import annotations

import asyncio
import sys

from connectors.postgres.database import Database
from connectors.postgres.saga_store import PostgresSagaStore
from connectors.settings import PostgresSettings
from infra.signals import run_until_signalled
from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.event import EventFactory
from streams.memory.log import MemoryLog
from streams.memory.schemas import MemoryWriterSchemas
from streams.sagas.course import SagaSteps
from streams.sagas.deadlines import DeadlineFiring
from tests.contracts.probe_saga import ProbeSaga


async def main(stop: asyncio.Event) -> None:
    catalog = Catalog.load()
    codec = Codec(catalog)
    schemas = MemoryWriterSchemas(MemoryLog(), codec, wait_s=0)
    async with Database(PostgresSettings(dsn=sys.argv[1])) as database:
        store = PostgresSagaStore(database, catalog, codec, schemas)
        steps = SagaSteps("tests", ProbeSaga(), EventFactory(catalog, "tests"))
        await DeadlineFiring(steps, store).run(stop)


if __name__ == "__main__":
    run_until_signalled(main)
