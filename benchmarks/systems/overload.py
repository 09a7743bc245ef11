"""Our worker under twice the load that it can bear: capacity, overload, and the time after it.

The handler does some work of its own, as handlers do: so it is the worker that is overloaded, not
the machine with its broker and its sender.
"""

from __future__ import annotations

import asyncio
import sys
import time
import zlib

from benchmarks.contract import MODULUS, Measurement, RunConfig, event_sum, peak_memory
from benchmarks.open_loop import NANOSECONDS
from benchmarks.progress import (
    MEBIBYTE,
    Moment,
    between,
    moment,
    most_resident,
    rate_of,
    seconds_of,
)
from benchmarks.senders import Sender
from benchmarks.systems.controlled import app_name, run_controlled
from schemas.event import Event
from schemas.events.integration import IntegrationRepositorySynced
from streams.app import App
from streams.context import Context

SENDER = (sys.executable, "-m", "benchmarks.systems.stamped_sender")
WORK = bytes(256 * 1024)
"""What a handler takes the CRC of, for each event."""
WARM_UP_S = 2.0
LOOK_S = 0.1
LEAST_OVERLOAD = 1.8
"""Offered load by capacity: with less it was no overload of 2, and the run fails."""


class OverloadRun:
    """Told of every handled event; says what became of the worker."""

    def __init__(self, config: RunConfig) -> None:
        self._config = config
        self._moments: list[Moment] = []
        self._marks: dict[str, int] = {}
        self._capacity = 0.0
        self._sent = 0
        self._handled = 0
        self._sum = 0
        self._last_ns = time.monotonic_ns()
        self._longest_stall_ns = 0

    def take(self, event_type: str, aggregate_id: str, number: int) -> None:
        """An event is being handled."""
        now = time.monotonic_ns()
        self._longest_stall_ns = max(self._longest_stall_ns, now - self._last_ns)
        self._last_ns = now
        self._sum += event_sum(event_type, aggregate_id, number) + (zlib.crc32(WORK) & 0)
        self._handled += 1

    async def conduct(self) -> None:
        """Returns some time after the load has ended."""
        options = self._config.options
        looking = asyncio.create_task(self._look())
        while not self._handled:  # noqa: ASYNC110  # the handler counts
            await asyncio.sleep(LOOK_S)
        await asyncio.sleep(WARM_UP_S)
        begin = time.monotonic_ns()
        await asyncio.sleep(options["capacity_s"])
        self._capacity = rate_of(between(self._moments, begin, time.monotonic_ns()))
        rate = 2 * self._capacity
        count = round(rate * options["overload_s"])
        sender = await Sender.ready(SENDER, self._order(rate, count))
        self._longest_stall_ns, self._last_ns = 0, time.monotonic_ns()
        self._mark("overload")
        await sender.send()
        self._sent = count
        self._mark("after")
        self._marks["stall"] = self._longest_stall_ns
        await asyncio.sleep(options["after_s"])
        self._mark("end")
        looking.cancel()

    def measurement(self) -> Measurement:
        """The rate is that under overload. Raises ValueError when it was none."""
        marks, backlog = self._marks, self._config.events
        during = between(self._moments, marks["overload"], marks["after"])
        after = between(self._moments, marks["after"], marks["end"])
        third = (marks["after"] - marks["overload"]) // 3
        first = between(during, marks["overload"], marks["overload"] + third)
        last = between(during, marks["after"] - third, marks["after"])
        offered = self._sent / seconds_of(during)
        lags = [backlog + self._sent - it.handled for it in (after[0], after[-1])]
        if offered < LEAST_OVERLOAD * self._capacity or min(lags) <= 0:
            raise ValueError(f"no overload: {offered:.0f}/s offered, {self._capacity:.0f}/s borne")
        return Measurement(
            events=during[-1].handled - during[0].handled,
            seconds=seconds_of(during),
            cpu_seconds=during[-1].cpu_s - during[0].cpu_s,
            checksum=self._sum % MODULUS,
            rss_bytes=peak_memory(),
            metrics={
                "capacity_per_s": self._capacity,
                "offered_per_s": offered,
                "longest_stall_s": marks["stall"] / NANOSECONDS,
                "lag_at_end": float(lags[0]),
                "lag_after": float(lags[1]),
                "drained_per_s": rate_of(after),
                "rss_mib_first_third": most_resident(first),
                "rss_mib_last_third": most_resident(last),
                **self._memory_over_time(during),
            },
        )

    def _memory_over_time(self, during: list[Moment]) -> dict[str, float]:
        """Resident memory at the end of each tenth."""
        tenths = [during[len(during) * number // 10 - 1] for number in range(1, 11)]
        began = during[0].now_ns
        return {
            f"rss_mib_at_{(it.now_ns - began) / NANOSECONDS:.0f}_s": it.resident_bytes / MEBIBYTE
            for it in tenths
        }

    def _order(self, rate: float, count: int) -> dict[str, object]:
        return {
            "bootstrap": self._config.bootstrap,
            "stamp": "repositories",
            "rate": rate,
            "count": count,
            "first": self._config.events,
            "aggregates": self._config.options["aggregates"],
            "linger_ms": 5,
        }

    def _mark(self, name: str) -> None:
        self._marks[name] = time.monotonic_ns()

    async def _look(self) -> None:
        while True:
            self._moments.append(moment(self._handled))
            await asyncio.sleep(LOOK_S)


def main() -> None:
    """Measure and print."""
    config = RunConfig.from_arguments()
    run = OverloadRun(config)
    app = App(app_name(config))

    @app.on(IntegrationRepositorySynced)
    async def on_synced(event: Event[IntegrationRepositorySynced], context: Context) -> None:
        aggregate = event.aggregate
        run.take(event.type, aggregate.id if aggregate else "", event.data.files)

    run_controlled(app, config, run.conduct)
    run.measurement().print()


if __name__ == "__main__":
    main()
