"""Faust with a table in memory that it recovers from its changelog."""

from __future__ import annotations

import asyncio
import time
from importlib.metadata import version
from typing import Any
from zlib import crc32

import faust

from benchmarks.contract import MODULUS, Measurement, RunConfig, peak_memory
from benchmarks.repositories import FROM_ASSIGNMENT_CPU_S, FROM_ASSIGNMENT_S

PARTITIONS = 4
TABLE = "files"


def build(config: RunConfig) -> faust.App:
    """An app without a table yet."""
    return faust.App(
        config.group,
        broker=f"kafka://{config.bootstrap}",
        store="memory://",
        datadir=config.folder,
        topic_partitions=PARTITIONS,
        topic_replication_factor=1,
        web_enabled=False,
    )


async def refuse(values: Any) -> None:
    """The agent without which Faust would not work on the table."""
    async for _ in values:
        raise RuntimeError("there is nothing to read but the changelog")


async def measure(config: RunConfig) -> Measurement:
    """Start, and wait until the table is recovered."""
    app = build(config)
    table = app.Table(TABLE, partitions=PARTITIONS)
    app.agent(app.topic(config.topic, value_type=bytes, value_serializer="raw"))(refuse)
    recovered = asyncio.Event()

    async def on_recovered(*_: Any, **__: Any) -> None:
        recovered.set()

    assigned: list[tuple[float, float]] = []

    async def on_assigned(*_: Any, **__: Any) -> None:
        assigned.append(_now())

    app.on_partitions_assigned.connect(on_assigned, weak=False)
    app.on_rebalance_complete.connect(on_recovered, weak=False)
    began, cpu_began = _now()
    await app.start()
    await recovered.wait()
    ended, cpu_ended = _now()
    entries = list(table.items())
    total = sum(crc32(key.encode()) + it["events"] + it["files"] for key, it in entries)
    await app.stop()
    packages = ("faust-streaming", "mode-streaming", "aiokafka")
    return Measurement(
        events=len(entries),
        seconds=ended - began,
        cpu_seconds=cpu_ended - cpu_began,
        checksum=total % MODULUS,
        rss_bytes=peak_memory(),
        metrics={
            FROM_ASSIGNMENT_S: ended - assigned[0][0],
            FROM_ASSIGNMENT_CPU_S: cpu_ended - assigned[0][1],
        },
        versions={name: version(name) for name in packages},
    )


def _now() -> tuple[float, float]:
    return time.monotonic(), time.process_time()


def main() -> None:
    """Measure and print."""
    asyncio.run(measure(RunConfig.from_arguments())).print()


if __name__ == "__main__":
    main()
