"""One run of the priority bench: a backlog of LOW alone, then with CRITICAL beside it.

Standard library only: the peer runs it, too.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import NamedTuple

from benchmarks.contract import Measurement, RunConfig, event_sum, peak_memory
from benchmarks.open_loop import NANOSECONDS, Arrivals
from benchmarks.senders import Sender

WARM_UP_S = 1.0
"""Of LOW, before its free rate is taken."""
LONGEST_ALONE = 0.35
"""Share of the backlog that may be gone when CRITICAL begins."""
LAST_ARRIVAL_S = 60.0
"""How long a CRITICAL event may be under way at the end."""
_LOOK_S = 0.02


class Moment(NamedTuple):
    """How far LOW was at a time."""

    now_ns: int
    cpu_s: float
    low: int


def low_rate(begin: Moment, end: Moment) -> float:
    """LOW events/s between two moments."""
    return (end.low - begin.low) * NANOSECONDS / (end.now_ns - begin.now_ns)


def within(moments: Sequence[Moment], from_ns: int, to_ns: int, backlog: int) -> list[Moment]:
    """The moments of a time in which there still was a backlog. Raises ValueError without two."""
    found = [it for it in moments if from_ns <= it.now_ns <= to_ns and it.low < backlog]
    if len(found) < 2:
        raise ValueError("the backlog was gone before CRITICAL had come: it is too small")
    return found


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
        began_ns = next(it.now_ns for it in self._moments if it.low)
        alone_ns = began_ns + round(WARM_UP_S * NANOSECONDS)
        alone = within(self._moments, alone_ns, self._alone_until_ns, backlog)
        due_ns = self.critical.first_due_ns(0)
        end_ns = due_ns + round(self._config.seconds * NANOSECONDS)
        beside = within(self._moments, due_ns, end_ns, backlog)
        latencies = self.critical.latencies(0, beside[-1].now_ns)
        return Measurement(
            events=beside[-1].low - beside[0].low,
            seconds=(beside[-1].now_ns - beside[0].now_ns) / NANOSECONDS,
            cpu_seconds=beside[-1].cpu_s - beside[0].cpu_s,
            checksum=self.critical.checksum,
            rss_bytes=peak_memory(),
            metrics={
                **latencies.metrics("_critical"),
                "critical_events": float(latencies.count),
                "low_alone_per_s": low_rate(alone[0], alone[-1]),
                "low_beside_per_s": low_rate(beside[0], beside[-1]),
                "low_left": float(backlog - beside[-1].low),
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
            self._moments.append(Moment(time.monotonic_ns(), time.process_time(), self.low))
            await asyncio.sleep(_LOOK_S)

    async def _low_reaches(self, count: int, longest_s: float) -> None:
        """Wait until so many LOW events were handled, or for so long."""
        deadline = time.monotonic() + longest_s
        while self.low < count and time.monotonic() < deadline:  # noqa: ASYNC110  # handlers count
            await asyncio.sleep(_LOOK_S)
