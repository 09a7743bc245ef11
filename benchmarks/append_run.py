"""One run of the append bench: one event at a time, then many. Standard library only."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from benchmarks.contract import Measurement, RunConfig, peak_memory

BATCH = 100
ACCOUNTS = 100
"""Aggregates that take turns."""
NOTE = "forty characters of text for everybody.."

_WARM_UP: float = 0.2
"""Share of the time that is not counted."""

Append = Callable[[int], Awaitable[None]]
"""Appends so many events to the next account, durably, and returns."""


@dataclass(slots=True)
class _Spent:
    events: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0


def append_for(config: RunConfig, append: Append, versions: Mapping[str, str]) -> Measurement:
    """Append for as long as the run measures, half of it each way; `stored` counts all events."""
    return asyncio.run(append_for_async(config, append, versions))


async def append_for_async(
    config: RunConfig, append: Append, versions: Mapping[str, str]
) -> Measurement:
    """As `append_for`, in the loop that runs."""
    stored = 0
    measured: list[_Spent] = []
    for size in (1, BATCH):
        stored += (await _repeat(append, size, config.seconds / 2 * _WARM_UP)).events
        measured.append(await _repeat(append, size, config.seconds / 2))
        stored += measured[-1].events
    single, many = measured
    return Measurement(
        events=single.events + many.events,
        seconds=single.seconds + many.seconds,
        cpu_seconds=single.cpu_seconds + many.cpu_seconds,
        checksum=0,
        rss_bytes=peak_memory(),
        metrics={
            "single_per_s": single.events / single.seconds,
            "batched_per_s": many.events / many.seconds,
            "single_cpu_us": single.cpu_seconds / single.events * 1e6,
            "stored": stored,
        },
        versions=versions,
    )


async def _repeat(append: Append, size: int, seconds: float) -> _Spent:
    spent = _Spent()
    began, cpu_began = time.perf_counter(), time.process_time()
    while spent.seconds < seconds:
        await append(size)
        spent.events += size
        spent.seconds = time.perf_counter() - began
    spent.cpu_seconds = time.process_time() - cpu_began
    return spent
