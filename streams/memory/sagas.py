"""Sagas in process: courses in a dictionary, what they emit straight in the topics."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.event import system_clock
from streams.expectation import ANY_VERSION
from streams.memory.appender import MemoryEventAppender
from streams.memory.log import MemoryLog
from streams.memory.schemas import MemoryWriterSchemas
from streams.publisher import event_record
from streams.sagas.course import Address, Course, DueDeadline, SagaName, Step
from streams.sagas.saga import Deadline
from streams.sagas.store import DeadlineJudge, Fired, Judge


@dataclass(slots=True)
class _Kept:
    """A course with the deadlines that it has set, by name."""

    course: Course
    deadlines: dict[str, DueDeadline] = field(default_factory=dict)


class MemorySagaStore:
    """Implements SagaStore. What a step emits stands in the log when the step is taken."""

    def __init__(
        self,
        log: MemoryLog,
        catalog: Catalog,
        codec: Codec,
        *,
        clock: Callable[[], datetime] = system_clock,
    ) -> None:
        self._log = log
        self._catalog = catalog
        self._codec = codec
        self._clock = clock
        schemas = MemoryWriterSchemas(log, codec)
        self._appender = MemoryEventAppender(log, catalog, codec, schemas)
        self._kept: dict[Address, _Kept] = {}
        self._turn = asyncio.Lock()

    async def take(self, address: Address, judge: Judge) -> Step | None:
        """See SagaStore."""
        async with self._turn:
            kept = self._kept.get(address) or _Kept(Course(address=address))
            return await self._step(kept, judge(kept.course))

    async def carry_on(self, address: Address, judge: Judge) -> Step | None:
        """See SagaStore."""
        async with self._turn:
            kept = self._kept.get(address)
            return None if kept is None else await self._step(kept, judge(kept.course))

    async def fire(
        self, name: SagaName, judge: DeadlineJudge, limit: int, until: datetime | None = None
    ) -> Fired:
        """See SagaStore. A deadline that cannot be decided on is raised: a test is to see it."""
        async with self._turn:
            steps: list[Step] = []
            now = self._clock()
            due = self._due(name, now if until is None else min(now, until))
            for kept, deadline in due[:limit]:
                step = await self._step(kept, judge(kept.course, deadline))
                if kept.deadlines.get(deadline.name) is deadline:
                    del kept.deadlines[deadline.name]
                steps += () if step is None else (step,)
            return Fired(steps=tuple(steps), handled=len(due[:limit]))

    async def due_in_s(self, name: SagaName) -> float | None:
        """See SagaStore."""
        waits = [deadline.due_at for kept in self._of(name) for deadline in kept.deadlines.values()]
        return (min(waits) - self._clock()).total_seconds() if waits else None

    async def find(self, address: Address) -> Course | None:
        """See SagaStore."""
        kept = self._kept.get(address)
        return None if kept is None else kept.course

    def deadlines(self, address: Address) -> dict[str, datetime]:
        """When the deadlines of a course are due, by name; for tests."""
        kept = self._kept.get(address)
        return {} if kept is None else {it.name: it.due_at for it in kept.deadlines.values()}

    def _of(self, name: SagaName) -> list[_Kept]:
        return [kept for address, kept in self._kept.items() if address.name == name]

    def _due(self, name: SagaName, by: datetime) -> list[tuple[_Kept, DueDeadline]]:
        """The first deadline of each course that is due by then, the longest due first."""
        due = []
        for kept in self._of(name):
            first = min(kept.deadlines.values(), key=lambda it: it.due_at, default=None)
            if first is not None and first.due_at <= by:
                due.append((kept, first))
        return sorted(due, key=lambda it: it[1].due_at)

    async def _step(self, kept: _Kept, step: Step | None) -> Step | None:
        if step is None or step.is_repeat:
            return step
        # Encoded first: what cannot be sent changes nothing.
        records = [(event, event_record(event, self._codec.encode(event))) for event in step.events]
        for event, record in records:
            if self._catalog.get(event.type).appended:
                await self._appender.append([event], ANY_VERSION, command_id=event.id)
            else:
                self._log.append(record)
        course = kept.course
        kept.course = replace(course, status=step.status, taken_in=(*course.taken_in, step.cause))
        self._keep_deadlines(kept, step)
        self._kept[course.address] = kept
        return step

    def _keep_deadlines(self, kept: _Kept, step: Step) -> None:
        for name in step.cancelled:
            kept.deadlines.pop(name, None)
        if step.status.is_over:
            kept.deadlines.clear()
        for deadline in step.deadlines:
            due_at = self._due_at(deadline)
            kept.deadlines[deadline.name] = DueDeadline(deadline.name, step.cause.id, due_at)

    def _due_at(self, deadline: Deadline) -> datetime:
        if deadline.at is not None:
            return deadline.at
        return self._clock() + timedelta(seconds=deadline.after_s or 0.0)
