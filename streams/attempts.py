"""Trying again.

A failing event has a bounded number of tries, failing infrastructure pauses and counts none.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from streams.errors import BreakerOpen
from streams.retry import Answer, Chance, RetrySchedule

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
        chance: Chance = random.random,
    ) -> None:
        """`outages`: errors that count as infrastructure beside those of `is_infrastructure`.

        `schedule` is for work that brings none of its own, and says how often it is looked whether
        an outage is over.
        """
        self._outages = outages
        self._schedule = schedule
        self._chance = chance
        self._sleep = sleep
        self._pauses: dict[_Trial, Pause] = {}

    @property
    def pause(self) -> Pause | None:
        """What the longest waiting piece of work waits for; None when nothing waits."""
        return next(iter(self._pauses.values()), None)

    def is_outage(self, error: BaseException, schedule: RetrySchedule) -> bool:
        """Whether work that is tried again by this schedule pauses after such an error."""
        return schedule.answer(error, self._outages) is Answer.PAUSE

    async def run(
        self,
        work: Callable[[], Awaitable[None]],
        *,
        waiting_for: str,
        schedule: RetrySchedule | None = None,
    ) -> Failed | None:
        """None once the work succeeded. See `after` for what happens when it raises."""
        try:
            await work()
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001  # judged in `after`
            return await self.after(error, work, waiting_for=waiting_for, schedule=schedule)
        return None

    async def run_once(
        self,
        work: Callable[[], Awaitable[None]],
        *,
        waiting_for: str,
        schedule: RetrySchedule | None = None,
    ) -> Failed | None:
        """As `run`, for work that is not repeated here when it fails: it has one try.

        Infrastructure is waited for all the same.
        """
        try:
            await work()
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001  # judged next
            return await self.after_once(error, work, waiting_for=waiting_for, schedule=schedule)
        return None

    async def after_once(
        self,
        error: BaseException,
        work: Callable[[], Awaitable[None]],
        *,
        waiting_for: str,
        schedule: RetrySchedule | None = None,
    ) -> Failed | None:
        """As `after`, for work that is not repeated here when it fails."""
        trial = _Trial(schedule=schedule or self._schedule, is_pure=True)
        return await self._go_on(error, work, waiting_for, trial)

    async def after(
        self,
        error: BaseException,
        work: Callable[[], Awaitable[None]],
        *,
        waiting_for: str,
        schedule: RetrySchedule | None = None,
    ) -> Failed | None:
        """Go on with work whose first try has raised `error`; None once it succeeded.

        An error of the contract (SchemaError) is not tried again. A CancelledError that was not
        meant for this task counts as a failure: the work awaited something that was cancelled.
        """
        return await self._go_on(
            error, work, waiting_for, _Trial(schedule=schedule or self._schedule)
        )

    async def _go_on(
        self,
        error: BaseException,
        work: Callable[[], Awaitable[None]],
        waiting_for: str,
        trial: "_Trial",
    ) -> Failed | None:
        try:
            while True:
                if _is_own_cancellation(error):
                    raise error
                delay_s = self._judged(error, trial, waiting_for)
                if delay_s is None:
                    return Failed(error=error, tries=trial.failures)
                await _wait(error, delay_s, self._sleep)
                try:
                    await work()
                except (Exception, asyncio.CancelledError) as next_error:  # noqa: BLE001  # judged next
                    error = next_error
                else:
                    return None
        finally:
            self._pauses.pop(trial, None)

    def _judged(self, error: BaseException, trial: "_Trial", waiting_for: str) -> float | None:
        """How long to wait before the next try; None when there is none."""
        answer = trial.schedule.answer(error, self._outages)
        if answer is Answer.PAUSE:
            trial.outages += 1
            self._pauses[trial] = Pause(
                reason=f"{type(error).__name__}: {error}", waiting_for=waiting_for
            )
            return self._schedule.delay_s(trial.outages, self._chance)
        self._pauses.pop(trial, None)
        trial.failures += 1
        if trial.is_pure or isinstance(answer, Answer) or answer.exhausted(trial.failures):
            return None
        return answer.delay_s(trial.failures, self._chance)


async def _wait(error: BaseException, delay_s: float, sleep: Sleep) -> None:
    """Until another try is worth it."""
    if isinstance(error, BreakerOpen):
        await error.admission()
    else:
        await sleep(delay_s)


WAITING: Final = _wait.__code__
"""In whose frame work waits until it is tried again: for those who look into tasks."""


@dataclass(slots=True, eq=False)
class _Trial:
    """What one piece of work has been through; `is_pure` when it is not to be repeated."""

    schedule: RetrySchedule = field(kw_only=True)
    is_pure: bool = False
    failures: int = 0
    outages: int = 0


def _is_own_cancellation(error: BaseException) -> bool:
    """Whether this task is being cancelled, as at a rebalance or a stop."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0
