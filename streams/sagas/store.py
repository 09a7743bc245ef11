"""The port to what keeps the courses of sagas: Postgres in production, memory in process."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from streams.sagas.course import Address, Course, DueDeadline, SagaName, Step

Judge = Callable[[Course], Step | None]
"""What one more event is in a course; None when it changes nothing. Pure, so it may run twice."""

DeadlineJudge = Callable[[Course, DueDeadline], Step | None]
"""What a deadline that has come is in a course."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fired:
    """What became of deadlines that were due.

    `steps` were taken. `failed` could not be decided on: they are tried again, later each time.
    `handled` counts both, and those whose course was over.
    """

    steps: tuple[Step, ...] = ()
    failed: int = 0
    handled: int = 0


class SagaStore(Protocol):
    """Keeps courses and deadlines; a step and everything that it brings about are one transaction.

    Events of a step are on their way to Kafka when the step is stored, and only then. Courses are
    changed by one at a time, whoever works on them. Every method raises InfrastructureError when
    the store is away: the outcome is unknown then, and the same call may be made again.
    """

    async def take(self, address: Address, judge: Judge) -> Step | None:
        """Take the step that `judge` says; begin the course where there is none.

        None when there is no step. What `judge` raises is raised, and nothing is changed.
        """
        ...

    async def carry_on(self, address: Address, judge: Judge) -> Step | None:
        """As `take`, for an event that begins nothing: without a course there is no step."""
        ...

    async def fire(
        self, name: SagaName, judge: DeadlineJudge, limit: int, until: datetime | None = None
    ) -> Fired:
        """Take the steps of deadlines that are due, the longest due first.

        With `until`, only those that were due by then. Each is gone with the step that it brings
        about. Deadlines of courses that somebody else has in hand are left for the next call, and
        so are further ones of the same course.
        """
        ...

    async def due_in_s(self, name: SagaName) -> float | None:
        """Seconds until the next deadline is due, below 0 when one is; None when there is none."""
        ...

    async def find(self, address: Address) -> Course | None:
        """A course as it is now; None when there is none."""
        ...
