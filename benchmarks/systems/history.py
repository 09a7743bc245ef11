"""Our event store: a stream of everything, and loads of one aggregate through a repository."""

from __future__ import annotations

import asyncio
import time
from statistics import median
from typing import Any

from benchmarks.contract import MODULUS, Measurement, RunConfig, event_sum, peak_memory
from benchmarks.histories import (
    AGGREGATE_ID,
    AGGREGATE_TYPE,
    BEHIND,
    COUNTED,
    EVERY,
    LOADS,
    VERSIONS,
    evolve,
    resident_memory,
)
from connectors.postgres.database import Database
from connectors.postgres.event_store import PostgresEventStore
from connectors.postgres.snapshots import PostgresSnapshots
from connectors.settings import PostgresSettings
from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.event import Event, EventFactory
from streams.event_store import CommandAppender
from streams.expectation import Appended, ExpectedVersion
from streams.memory.log import MemoryLog
from streams.memory.schemas import MemoryWriterSchemas
from streams.repository import Repository, RepositoryEdges

MEGABYTE = 1_000_000


class Nothing:
    """Implements CommandAppender for who only loads."""

    async def append(
        self, events: Any, expected: ExpectedVersion, *, command_id: str | None = None
    ) -> Appended:
        """See EventAppender."""
        raise AssertionError("nothing is appended here")

    async def result_of(
        self, aggregate_type: str, aggregate_id: str, command_id: str
    ) -> Appended | None:
        """See CommandResults."""
        return None


async def measure(dsn: str) -> Measurement:
    """Stream everything, then load."""
    catalog = Catalog.load()
    codec = Codec(catalog)
    schemas = MemoryWriterSchemas(MemoryLog(), codec, wait_s=0)
    async with Database(PostgresSettings(dsn=dsn)) as database:
        store = PostgresEventStore(database, codec, schemas)
        snapshots = PostgresSnapshots(database)
        resident = resident_memory()
        began, cpu_began = time.perf_counter(), time.process_time()
        count, total = 0, 0
        async for event in store.stream():
            count += 1
            total += _sum(event)
        seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu_began
        growth = peak_memory() - resident
        appender: CommandAppender = Nothing()
        edges = RepositoryEdges(
            stored=store,
            appender=appender,
            factory=EventFactory(catalog, "bench"),
            snapshots=snapshots,
        )
        await keep_snapshot(store, snapshots)
        loads = await time_loads(Repository(COUNTED, edges, snapshot_every=EVERY))
        whole = await time_whole(store)
    return Measurement(
        events=count,
        seconds=seconds,
        cpu_seconds=cpu_seconds,
        checksum=total % MODULUS,
        rss_bytes=peak_memory(),
        metrics={
            "growth_mb": growth / MEGABYTE,
            "load_ms": median(loads) * 1e3,
            "load_p99_ms": sorted(loads)[int(len(loads) * 0.99)] * 1e3,
            "whole_ms": whole * 1e3,
        },
    )


async def keep_snapshot(store: PostgresEventStore, snapshots: PostgresSnapshots) -> None:
    """As far behind as there can be before the next one is taken."""
    state = COUNTED.initial()
    version = VERSIONS - BEHIND
    async for event in store.history(AGGREGATE_TYPE, AGGREGATE_ID, 1, version):
        state = evolve(state, event)
    assert COUNTED.snapshots is not None
    await snapshots.drop(AGGREGATE_TYPE, AGGREGATE_ID)
    taken = COUNTED.snapshots.taken(AGGREGATE_TYPE, AGGREGATE_ID, version, state)
    await snapshots.save(taken)


async def time_loads(repository: Repository[None, dict[str, int]]) -> list[float]:
    """Seconds of each load, one after the other."""
    found = []
    for _ in range(LOADS):
        began = time.perf_counter()
        loaded = await repository.load(AGGREGATE_ID)
        found.append(time.perf_counter() - began)
        if loaded.state["events"] != VERSIONS or loaded.read != BEHIND:
            raise AssertionError(f"another aggregate was loaded: {loaded}")
    return found


async def time_whole(store: PostgresEventStore) -> float:
    """Seconds without a snapshot."""
    began = time.perf_counter()
    state = COUNTED.initial()
    async for event in store.history(AGGREGATE_TYPE, AGGREGATE_ID):
        state = evolve(state, event)
    if state["events"] != VERSIONS:
        raise AssertionError(f"another aggregate was read: {state}")
    return time.perf_counter() - began


def _sum(event: Event[Any]) -> int:
    aggregate_id = event.aggregate.id if event.aggregate else ""
    return event_sum(event.type, aggregate_id, event.data.lines)


if __name__ == "__main__":
    asyncio.run(measure(RunConfig.from_arguments().options["dsn"])).print()
