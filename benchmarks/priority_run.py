"""One run of the priority bench: a backlog of LOW alone, then with CRITICAL beside it.

Standard library only: the peer runs it, too.
"""

from __future__ import annotations

import asyncio
import time

from benchmarks.contract import Measurement, RunConfig, event_sum, peak_memory
from benchmarks.open_loop import NANOSECONDS, Arrivals
from benchmarks.progress import Moment, between, moment, rate_of, seconds_of
from benchmarks.senders import Sender

WARM_UP_S = 1.0
"""Of LOW, before its free rate is taken."""
LONGEST_ALONE = 0.35
"""Share of the backlog that may be gone when CRITICAL begins."""
LAST_ARRIVAL_S = 60.0
"""How long a CRITICAL event may be under way at the end."""
_LOOK_S = 0.02


class PriorityRun:
    """Told of every handled event; says how the two classes fared."""

    def __init__(self, config: RunConfig) -> None:
        self._config = config
        self._moments: list[Moment] = []
        self._alone_until_ns = 0
        self._sent: dict[str, float] = {}
        self._low_sum = 0
        self.low = 0
        self.critical = Arrivals()

    def take_low(self, event_type: str, aggregate_id: str, number: int) -> None:
        """A LOW event was handled."""
        self._low_sum += event_sum(event_type, aggregate_id, number)
        self.low += 1

    async def conduct(self) -> None:
        """Returns when both have been measured and every CRITICAL event has arrived."""
        count = round(self._config.options["rate"] * self._config.seconds)
        sender = await Sender.ready(self._config.options["sender"], self._order(count))
        looking = asyncio.create_task(self._look())
        try:
            await self._low_reaches(1, float("inf"))
            await self._low_reaches(
                round(self._config.events * LONGEST_ALONE), WARM_UP_S + self._config.seconds
            )
            self._alone_until_ns = time.monotonic_ns()
            self._sent = await sender.send()
            arrived = asyncio.Event()
            self.critical.when(count, arrived.set)
            await asyncio.wait_for(arrived.wait(), LAST_ARRIVAL_S)
        finally:
            looking.cancel()

    def measurement(self) -> Measurement:
        """The rate is that of LOW beside CRITICAL; latencies are of CRITICAL beside a backlog.

        The checksum covers CRITICAL: of LOW each system handles as many as it can.
        """
        backlog = self._config.events
        left = [it for it in self._moments if 0 < it.handled < backlog]
        alone_ns = left[0].now_ns + round(WARM_UP_S * NANOSECONDS)
        alone = between(left, alone_ns, self._alone_until_ns)
        due_ns = self.critical.first_due_ns(0)
        end_ns = due_ns + round(self._config.seconds * NANOSECONDS)
        beside = between(left, due_ns, end_ns)
        latencies = self.critical.latencies(0, beside[-1].now_ns)
        return Measurement(
            events=beside[-1].handled - beside[0].handled,
            seconds=seconds_of(beside),
            cpu_seconds=beside[-1].cpu_s - beside[0].cpu_s,
            checksum=self.critical.checksum,
            rss_bytes=peak_memory(),
            metrics={
                **latencies.metrics("_critical"),
                "critical_events": float(latencies.count),
                "low_alone_per_s": rate_of(alone),
                "low_beside_per_s": rate_of(beside),
                "low_left": float(backlog - beside[-1].handled),
                "sender_late_ms": self._sent["late_s"] * 1_000,
            },
        )

    def _order(self, count: int) -> dict[str, object]:
        return {
            "bootstrap": self._config.bootstrap,
            "stamp": "runs",
            "rate": self._config.options["rate"],
            "count": count,
            "first": 0,
            "aggregates": 1,
            "linger_ms": 0,
        }

    async def _look(self) -> None:
        while True:
            self._moments.append(moment(self.low))
            await asyncio.sleep(_LOOK_S)

    async def _low_reaches(self, count: int, longest_s: float) -> None:
        """Wait until so many LOW events were handled, or for so long."""
        deadline = time.monotonic() + longest_s
        while self.low < count and time.monotonic() < deadline:  # noqa: ASYNC110  # handlers count
            await asyncio.sleep(_LOOK_S)
