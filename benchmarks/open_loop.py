"""Open loop: events are due at set times whatever became of those before. Standard library only.

An event carries the time at which it was due, by the monotonic clock of the machine that all
processes share; its latency counts from there, so a sender that falls behind hides nothing.
"""

from __future__ import annotations

import asyncio
import math
import time
from array import array
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from benchmarks.contract import MODULUS, event_sum

NANOSECONDS = 1_000_000_000
FIRST_S = 0.2
"""From the moment when a sender is connected to the first event."""
NOT_DUE = 0
"""The due time of an event that is sent beforehand, and not measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """`count` events at `rate` events/s, the first at `start_ns`."""

    rate: float
    count: int
    start_ns: int

    @classmethod
    def starting_soon(cls, rate: float, count: int) -> Schedule:
        """A schedule of a sender that is ready."""
        start_ns = time.monotonic_ns() + round(FIRST_S * NANOSECONDS)
        return cls(rate=rate, count=count, start_ns=start_ns)

    def due_ns(self, number: int) -> int:
        """When event `number`, from 0, is due."""
        return self.start_ns + round(number / self.rate * NANOSECONDS)

    def due_by(self, now_ns: int) -> int:
        """How many events are due by now."""
        if now_ns < self.start_ns:
            return 0
        passed = (now_ns - self.start_ns) / NANOSECONDS
        return min(self.count, math.floor(passed * self.rate) + 1)

    def wait_s(self, number: int, now_ns: int) -> float:
        """How long until event `number` is due; never negative."""
        return max(0, self.due_ns(number) - now_ns) / NANOSECONDS


async def offer(schedule: Schedule, send: Callable[[int, int], Awaitable[None]]) -> float:
    """Call `send(number, due_ns)` for every event when it is due.

    Returns how late the latest was begun, in seconds.
    """
    latest_ns = sent = 0
    while sent < schedule.count:
        now = time.monotonic_ns()
        due = schedule.due_by(now)
        if due > sent:
            latest_ns = max(latest_ns, now - schedule.due_ns(sent))
        for number in range(sent, due):
            await send(number, schedule.due_ns(number))
        sent = max(sent, due)
        await asyncio.sleep(schedule.wait_s(sent, time.monotonic_ns()))
    return latest_ns / NANOSECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Latencies:
    """Latencies of some events, in milliseconds."""

    count: int
    p50: float
    p99: float
    p999: float
    max: float

    @classmethod
    def of(cls, values_ms: list[float]) -> Latencies:
        """Quantiles by nearest rank. Raises ValueError for no values."""
        if not values_ms:
            raise ValueError("no event was measured")
        ranked = sorted(values_ms)
        return cls(
            count=len(ranked),
            p50=_ranked(ranked, 0.5),
            p99=_ranked(ranked, 0.99),
            p999=_ranked(ranked, 0.999),
            max=ranked[-1],
        )

    def metrics(self, suffix: str) -> dict[str, float]:
        """Figures by name."""
        quantiles = {"p50": self.p50, "p99": self.p99, "p999": self.p999, "max": self.max}
        return {f"{name}_ms{suffix}": value for name, value in quantiles.items()}


def _ranked(ranked: list[float], share: float) -> float:
    return ranked[math.ceil(share * len(ranked)) - 1]


class Arrivals:
    """Told of every handled event; knows how late each was, and what all of them add up to."""

    def __init__(self, clock_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._clock_ns = clock_ns
        self._due = array("q")
        self._arrived = array("q")
        self._sum = 0
        self._awaited = 0
        self._on_complete: Callable[[], object] | None = None
        self.early = 0
        """Events that were sent beforehand."""

    def take(self, event_type: str, aggregate_id: str, number: int, due_ns: int) -> None:
        """One event was handled, with what its handler has read of it."""
        now = self._clock_ns()
        self._sum += event_sum(event_type, aggregate_id, number)
        if due_ns == NOT_DUE:
            self.early += 1
        else:
            self._due.append(due_ns)
            self._arrived.append(now)
        if self._on_complete is not None and self.count >= self._awaited:
            complete, self._on_complete = self._on_complete, None
            complete()

    def when(self, count: int, complete: Callable[[], object]) -> None:
        """Call once as soon as so many events have arrived in all."""
        self._awaited, self._on_complete = count, complete
        if self.count >= count:
            self._on_complete = None
            complete()

    @property
    def count(self) -> int:
        """All events so far."""
        return self.early + len(self._due)

    @property
    def checksum(self) -> int:
        """Of all events so far, in any order."""
        return self._sum % MODULUS

    def latencies(self, from_ns: int, before_ns: int) -> Latencies:
        """Of the events that were due in this time."""
        return Latencies.of(
            [
                (arrived - due) / 1e6
                for due, arrived in zip(self._due, self._arrived, strict=True)
                if from_ns <= due < before_ns
            ]
        )

    def first_due_ns(self, after: int) -> int:
        """The earliest due time among the measured events that came after the first `after`."""
        return min(self._due[after:])

    @property
    def measured(self) -> int:
        """Events with a due time so far."""
        return len(self._due)
