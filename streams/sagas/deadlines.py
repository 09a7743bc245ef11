"""Fires the deadlines of one saga: sleeps until the next one is due, and looks again in time."""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import structlog

from streams.errors import InfrastructureError
from streams.retry import RetrySchedule
from streams.sagas.course import SagaSteps
from streams.sagas.handling import StepListener, no_listener
from streams.sagas.intake import Intake, WholeIntake
from streams.sagas.store import SagaStore

AT_ONCE: Final = 200
"""Deadlines that share a transaction: many are cheap together, few hold up nobody."""

LOOK_AGAIN_S: Final = 0.5
"""How long a wait is at most: another process may have set a deadline, and be gone."""

SOON_S: Final = 10.0
"""Before so long it is not asked what the saga has taken in."""

HELD_S: Final = 0.02
"""How long is waited for deadlines that are due, and in the hands of somebody else."""

log = structlog.get_logger(__name__)


@dataclass(slots=True, kw_only=True)
class FiringStatus:
    """What can be said of deadlines that were fired here.

    `failed` counts tries that the saga could not decide on; `waiting_for` is the code of the error
    for which nothing can be fired at the moment. `is_behind` while what is due waits for the saga
    to take in what was sent before.
    """

    fired: int = 0
    failed: int = 0
    waiting_for: str | None = None
    is_behind: bool = False


class DeadlineFiring:
    """Fires deadlines until it is told to stop. Any number of them may work side by side."""

    def __init__(
        self,
        steps: SagaSteps[Any],
        store: SagaStore,
        *,
        intake: Intake | None = None,
        on_step: StepListener = no_listener,
        schedule: RetrySchedule | None = None,
    ) -> None:
        """`intake`: what the saga has taken in, if that is to be waited for."""
        self.status = FiringStatus()
        self._steps = steps
        self._store = store
        self._intake = intake or WholeIntake()
        self._on_step = on_step
        self._schedule = schedule or RetrySchedule(first_delay_s=0.2, longest_delay_s=5.0)
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Look again: a deadline was set that may be the next one."""
        self._woken.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`; what is away is waited for.

        Raises what the store raises, when waiting does not mend it.
        """
        try:
            await self._run(stop)
        finally:
            await self._intake.close()

    async def _run(self, stop: asyncio.Event) -> None:
        failures = 0
        while not stop.is_set():
            try:
                wait_s = await self._fire()
            except InfrastructureError as error:
                failures += 1
                self.status.waiting_for = error.code
                wait_s = self._schedule.delay_s(failures)
                log.warning("waiting", code=error.code, reason=error.message, seconds=wait_s)
                await _pause(wait_s, stop)
                continue
            failures, self.status.waiting_for = 0, None
            if wait_s > 0:
                await _pause(wait_s, stop, self._woken)

    async def fire_due(self, until: datetime | None = None) -> int:
        """Fire a number of deadlines that are due, `until` a time; how many it was.

        Raises as the store does.
        """
        fired = await self._store.fire(self._steps.name, self._steps.passed, AT_ONCE, until)
        self.status.fired += len(fired.steps)
        self.status.failed += fired.failed
        for step in fired.steps:
            self._on_step(step)
        return fired.handled

    async def _fire(self) -> float:
        """Fire what is due; seconds until it is to be looked again."""
        # Cleared first: a deadline that is set while the store is asked is looked for once more.
        self._woken.clear()
        due_in_s = await self._store.due_in_s(self._steps.name)
        if due_in_s is None or due_in_s > SOON_S:
            self.status.is_behind = False
            return LOOK_AGAIN_S
        until = await self._intake.until()
        self.status.is_behind = until is not None and due_in_s <= 0
        if due_in_s <= 0 and await self.fire_due(until):
            return 0.0
        if self.status.is_behind:
            return LOOK_AGAIN_S
        return max(HELD_S, min(due_in_s, LOOK_AGAIN_S))


async def _pause(seconds: float, *events: asyncio.Event) -> None:
    """Return after so long, or as soon as one of the events is set."""
    waits = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
