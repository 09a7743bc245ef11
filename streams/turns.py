"""Whose turn it is: lanes work one slice at a time, in priority order.

CRITICAL never waits. HIGH, NORMAL and LOW share the time by weight. LOW that has waited longer than
its bound goes ahead of HIGH and NORMAL, for half of the time at most.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping
from typing import Final, Protocol

from schemas.envelope import Priority
from schemas.topics import priority_of

WEIGHTS: Final[Mapping[Priority, int]] = {
    Priority.HIGH: 5,
    Priority.NORMAL: 3,
    Priority.LOW: 1,
}
"""How the time is shared among priorities that all have work."""

SLICE_S: Final = 0.001
"""How long a lane works before it lets others go: what CRITICAL may have to wait for."""

LOW_MAX_AGE_S: Final = 60.0
"""How old a LOW event may become in its topic before it goes ahead of HIGH and NORMAL."""


class Pace(Protocol):
    """Asked for by whoever works on records for a while."""

    async def turn(self, topic: str, since_ms: int) -> None:
        """Wait until a slice of work on this topic may begin.

        `since_ms`: when the oldest record of that work was written, milliseconds since 1970.
        """
        ...

    def is_over(self) -> bool:
        """Whether the slice has lasted long enough: ask for the next turn."""
        ...


class Shares:
    """Which priority is next, by the time that each has had. Pure.

    Weighted fair queueing: time is charged divided by weight, the least charged goes first. Who
    comes back after having had nothing to do gets no credit for that.
    """

    def __init__(self) -> None:
        self._charged = dict.fromkeys(WEIGHTS, 0.0)
        self._level = 0.0
        self._overdue_s = 0.0

    def next(self, waiting: Collection[Priority], *, low_is_overdue: bool = False) -> Priority:
        """One of those that wait; not called without any."""
        if low_is_overdue and self._overdue_s <= 0:
            return Priority.LOW
        chosen = min(
            waiting, key=lambda priority: (max(self._charged[priority], self._level), priority)
        )
        self._level = max(self._charged[chosen], self._level)
        return chosen

    def charge(self, priority: Priority, seconds: float, *, low_is_overdue: bool = False) -> None:
        """It has worked for so long."""
        share = seconds / WEIGHTS[priority]
        self._charged[priority] = max(self._charged[priority], self._level) + share
        owed = seconds if priority is Priority.LOW else -seconds
        self._overdue_s = max(0.0, self._overdue_s + owed) if low_is_overdue else 0.0


class Turns:
    """Implements Pace for all lanes of one event loop: one slice per turn of the loop.

    So what becomes ready meanwhile, a CRITICAL record above all, waits for one slice and no longer.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.perf_counter,
        wall_clock: Callable[[], float] = time.time,
        low_max_age_s: float = LOW_MAX_AGE_S,
    ) -> None:
        """`clock` measures slices, `wall_clock` tells the age of records; both in seconds."""
        self._clock = clock
        self._wall_clock = wall_clock
        self._low_max_age_ms = low_max_age_s * 1000
        self._shares = Shares()
        self._waiting: dict[Priority, deque[tuple[asyncio.Future[None], int]]] = {
            priority: deque() for priority in WEIGHTS
        }
        self._slice: tuple[Priority, bool] | None = None
        self._began = 0.0
        self._is_scheduled = False

    async def turn(self, topic: str, since_ms: int) -> None:
        """See Pace."""
        priority = priority_of(topic)
        if priority is Priority.CRITICAL:
            # Only what is ready already, acknowledgements and other CRITICAL lanes, goes between.
            await asyncio.sleep(0)
            return
        granted = asyncio.get_running_loop().create_future()
        self._waiting[priority].append((granted, since_ms))
        self._schedule()
        await granted

    def is_over(self) -> bool:
        """See Pace."""
        return self._clock() - self._began >= SLICE_S

    def _schedule(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        """Charge the slice that has ended and let the next one begin."""
        self._is_scheduled = False
        now = self._clock()
        if self._slice is not None:
            priority, was_overdue = self._slice
            self._shares.charge(priority, now - self._began, low_is_overdue=was_overdue)
            self._slice = None
        waiting = [priority for priority in WEIGHTS if self._has_waiting(priority)]
        if not waiting:
            return
        overdue = self._low_is_overdue()
        chosen = self._shares.next(waiting, low_is_overdue=overdue)
        self._slice, self._began = (chosen, overdue), now
        granted, _ = self._waiting[chosen].popleft()
        granted.set_result(None)
        self._schedule()

    def _has_waiting(self, priority: Priority) -> bool:
        """Whether somebody waits who has not been cancelled meanwhile."""
        queue = self._waiting[priority]
        while queue and queue[0][0].done():
            queue.popleft()
        return bool(queue)

    def _low_is_overdue(self) -> bool:
        queue = self._waiting[Priority.LOW]
        oldest_ms = min((since_ms for _, since_ms in queue), default=None)
        return (
            oldest_ms is not None and self._wall_clock() * 1000 - oldest_ms > self._low_max_age_ms
        )


class AtOnce:
    """Implements Pace for work that shares its loop with nothing else: nobody waits."""

    async def turn(self, topic: str, since_ms: int) -> None:
        """It is always ours."""

    def is_over(self) -> bool:
        """It never ends."""
        return False
