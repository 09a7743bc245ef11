"""One run of the latency bench: how each rate is offered, and what is noted. Standard library only.

A rate begins when everything of the rate before has arrived: an overload that lasts is shown once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from benchmarks.contract import Measurement, RunConfig, peak_memory
from benchmarks.open_loop import NANOSECONDS, Arrivals
from benchmarks.senders import Sender

WARM_UP_S = 1.0
"""Of each rate: sent, but not measured."""


class LatencyRun:
    """Offers the rates one after the other to a handler that tells `arrivals` of every event."""

    def __init__(self, config: RunConfig, sender: Sequence[str]) -> None:
        self._config = config
        self._sender = sender
        self._early = config.warm_up
        self._metrics: dict[str, float] = {}
        self._began = (0.0, 0.0)
        self.arrivals = Arrivals()

    async def conduct(self) -> None:
        """Returns when all has arrived. The events sent beforehand show that the system reads."""
        await self._arrived(self._early)
        self._began = (time.perf_counter(), time.process_time())
        for rate in self._config.options["rates"]:
            await self._offer(int(rate))

    def measurement(self) -> Measurement:
        """Everything since the first event that was sent in time."""
        began, cpu_began = self._began
        return Measurement(
            events=self.arrivals.measured,
            seconds=time.perf_counter() - began,
            cpu_seconds=time.process_time() - cpu_began,
            checksum=self.arrivals.checksum,
            rss_bytes=peak_memory(),
            metrics=self._metrics,
        )

    async def _offer(self, rate: int) -> None:
        seconds = self._config.seconds
        count = round(rate * (WARM_UP_S + seconds))
        before = self.arrivals.measured
        given = {
            "bootstrap": self._config.bootstrap,
            "topic": self._config.topic,
            "schemas": dict(self._config.schemas),
            "linger_ms": self._config.options["linger_ms"],
            "aggregates": self._config.options["aggregates"],
            "rate": rate,
            "count": count,
            "first": before,
        }
        # A sender sends one event beforehand, to connect.
        sender = await Sender.ready(self._sender, given)
        self._early += 1
        await self._arrived(self._early + before)
        report = await sender.send()
        await self._arrived(self._early + before + count)
        begin = self.arrivals.first_due_ns(before) + round(WARM_UP_S * NANOSECONDS)
        end = begin + round((seconds + 1) * NANOSECONDS)
        latencies = self.arrivals.latencies(begin, end)
        self._metrics |= latencies.metrics(f"_at_{rate}")
        self._metrics[f"sender_late_ms_at_{rate}"] = report["late_s"] * 1_000

    async def _arrived(self, count: int) -> None:
        complete = asyncio.Event()
        self.arrivals.when(count, complete.set)
        await complete.wait()
