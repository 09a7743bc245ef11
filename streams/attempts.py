"""Trying again.

A failing event has a bounded number of tries, failing infrastructure pauses and counts none.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from schemas.errors import SchemaError
from streams.retry import RetrySchedule, is_infrastructure

Sleep = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """All tries failed; `error` is the last one."""

    error: BaseException
    tries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """A subscription waits for infrastructure."""

    reason: str
    waiting_for: str


class Attempts:
    """Runs pieces of work, each until it succeeds, is given up, or the worker stops."""

    def __init__(
        self,
        schedule: RetrySchedule,
        sleep: Sleep = asyncio.sleep,
        *,
        outages: tuple[type[BaseException], ...] = (),
    ) -> None:
        """`outages`: errors that count as infrastructure beside those of `is_infrastructure`."""
        self._outages = outages
        self._schedule = schedule
        self._sleep = sleep
        self._pauses: dict[object, Pause] = {}

    @property
    def pause(self) -> Pause | None:
        """What the longest waiting piece of work waits for; None when nothing waits."""
        return next(iter(self._pauses.values()), None)

    async def run(self, work: Callable[[], Awaitable[None]], *, waiting_for: str) -> Failed | None:
        """None once the work succeeded.

        An error of the contract (SchemaError) is not tried again. A CancelledError that was not
        meant for this task counts as a failure: the work awaited something that was cancelled.
        """
        failures = outages = 0
        token = object()
        try:
            while True:
                try:
                    await work()
                except (Exception, asyncio.CancelledError) as error:
                    if _is_own_cancellation(error):
                        raise
                    if is_infrastructure(error, self._outages):
                        outages += 1
                        self._pauses[token] = Pause(
                            reason=f"{type(error).__name__}: {error}", waiting_for=waiting_for
                        )
                        await self._sleep(self._schedule.delay_s(outages))
                        continue
                    self._pauses.pop(token, None)
                    failures += 1
                    if isinstance(error, SchemaError) or self._schedule.exhausted(failures):
                        return Failed(error=error, tries=failures)
                    await self._sleep(self._schedule.delay_s(failures))
                else:
                    return None
        finally:
            self._pauses.pop(token, None)


def _is_own_cancellation(error: BaseException) -> bool:
    """Whether this task is being cancelled, as at a rebalance or a stop."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0
