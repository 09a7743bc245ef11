"""Our deadlines: each is decided on by its saga, whose step and events are stored with it."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from benchmarks.contract import Measurement, RunConfig
from benchmarks.pending_deadlines import APP, DUE, WaitingSaga, fill, measurement
from connectors.postgres.database import Database
from connectors.postgres.saga_store import PostgresSagaStore
from connectors.settings import PostgresSettings
from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.event import EventFactory, system_clock
from streams.memory.log import MemoryLog
from streams.memory.schemas import MemoryWriterSchemas
from streams.sagas.course import SagaSteps, Step
from streams.sagas.deadlines import DeadlineFiring


async def measure(dsn: str) -> Measurement:
    """Fire every deadline; how late each was when its step was committed."""
    catalog = Catalog.load()
    codec = Codec(catalog)
    steps: SagaSteps[Any] = SagaSteps(APP, WaitingSaga(), EventFactory(catalog, APP))
    late_ms: list[float] = []
    stop = asyncio.Event()

    def note(step: Step) -> None:
        late = system_clock() - step.cause.timestamp
        late_ms.append(late.total_seconds() * 1_000)
        if len(late_ms) >= DUE:
            stop.set()

    async with Database(PostgresSettings(dsn=dsn)) as database:
        schemas = MemoryWriterSchemas(MemoryLog(), codec, wait_s=0)
        store = PostgresSagaStore(database, catalog, codec, schemas)
        began = time.perf_counter(), time.process_time()
        await DeadlineFiring(steps, store, on_step=note).run(stop)
    return measurement(dsn, late_ms, began)


if __name__ == "__main__":
    config = RunConfig.from_arguments()
    fill(config.options["dsn"])
    asyncio.run(measure(config.options["dsn"])).print()
