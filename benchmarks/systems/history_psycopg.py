"""The same by the driver alone: a server-side cursor over everything, and two plain statements.

No pool, no check of the connection, no transaction, no keyset: what Postgres and the codec cost.
"""

from __future__ import annotations

import asyncio
import time
from statistics import median
from typing import Any

import orjson
from psycopg import AsyncConnection

from benchmarks.contract import MODULUS, Measurement, RunConfig, event_sum, peak_memory
from benchmarks.histories import (
    AGGREGATE_ID,
    AGGREGATE_TYPE,
    BEHIND,
    COUNTED,
    LOADS,
    VERSIONS,
    evolve,
    resident_memory,
)
from schemas.catalog import Catalog
from schemas.codec import Codec

MEGABYTE = 1_000_000
ROWS = 2_000
STATE = (
    "SELECT version, state FROM snapshots"
    " WHERE aggregate_type = %s AND aggregate_id = %s AND schema_version = 1"
)
REST = (
    "SELECT framed FROM events WHERE aggregate_type = %s AND aggregate_id = %s"
    " AND aggregate_version > %s ORDER BY aggregate_version"
)
Connection = AsyncConnection[Any]


async def measure(dsn: str) -> Measurement:
    """Stream everything, then load."""
    codec = Codec(Catalog.load())
    async with await AsyncConnection.connect(dsn) as connection:
        resident = resident_memory()
        began, cpu_began = time.perf_counter(), time.process_time()
        count, total = await stream(connection, codec)
        seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu_began
        growth = peak_memory() - resident
        await connection.rollback()
        await connection.set_autocommit(True)
        await keep_snapshot(connection, codec)
        loads = []
        for _ in range(LOADS):
            load_began = time.perf_counter()
            await load(connection, codec)
            loads.append(time.perf_counter() - load_began)
    return Measurement(
        events=count,
        seconds=seconds,
        cpu_seconds=cpu_seconds,
        checksum=total % MODULUS,
        rss_bytes=peak_memory(),
        metrics={"growth_mb": growth / MEGABYTE, "load_ms": median(loads) * 1e3},
    )


async def stream(connection: Connection, codec: Codec) -> tuple[int, int]:
    """How many events there are, and their checksum."""
    count, total = 0, 0
    async with connection.cursor("everything") as cursor:
        cursor.itersize = ROWS
        await cursor.execute('SELECT framed FROM events ORDER BY "timestamp", sequence')
        async for (framed,) in cursor:
            event = codec.view(framed)
            aggregate_id = event.aggregate.id if event.aggregate else ""
            count += 1
            total += event_sum(event.type, aggregate_id, event.data.lines)
    return count, total


async def keep_snapshot(connection: Connection, codec: Codec) -> None:
    """As far behind as there can be before the next one is taken."""
    version = VERSIONS - BEHIND
    found = await connection.execute(REST, (AGGREGATE_TYPE, AGGREGATE_ID, 0))
    state = COUNTED.initial()
    for (framed,) in (await found.fetchall())[:version]:
        state = evolve(state, codec.view(framed))
    owner = (AGGREGATE_TYPE, AGGREGATE_ID)
    await connection.execute(
        "DELETE FROM snapshots WHERE aggregate_type = %s AND aggregate_id = %s", owner
    )
    await connection.execute(
        "INSERT INTO snapshots (aggregate_type, aggregate_id, schema_version, version, state)"
        " VALUES (%s, %s, 1, %s, %s)",
        (*owner, version, orjson.dumps(state)),
    )


async def load(connection: Connection, codec: Codec) -> None:
    """One aggregate, folded."""
    owner = (AGGREGATE_TYPE, AGGREGATE_ID)
    kept = await (await connection.execute(STATE, owner)).fetchone()
    if kept is None:
        raise AssertionError("there is no snapshot")
    version, state = kept[0], orjson.loads(kept[1])
    found = await connection.execute(REST, (*owner, version))
    for (framed,) in await found.fetchall():
        state = evolve(state, codec.view(framed))
    if state["events"] != VERSIONS:
        raise AssertionError(f"another aggregate was loaded: {state}")


if __name__ == "__main__":
    asyncio.run(measure(RunConfig.from_arguments().options["dsn"])).print()
