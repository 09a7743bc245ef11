"""The course of a saga, and the step that one event is in it. Pure.

A course is what it has taken in: events, the passing of deadlines among them. A step says all that
has to be stored for one more event, in one transaction.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Generic, NamedTuple, TypeVar

from schemas.event import Event, EventFactory, milliseconds
from schemas.identity import derived_id
from streams.context import Emitter
from streams.sagas.errors import InvalidReaction
from streams.sagas.saga import (
    CancelDeadline,
    Compensate,
    Complete,
    Deadline,
    DeadlinePassed,
    Emit,
    Saga,
)

StateT = TypeVar("StateT")

LONGEST_KEY_BYTES: Final = 1_000
"""With the names of app and saga it must fit in one entry of a Postgres index."""


class SagaName(NamedTuple):
    """A saga of an app."""

    app: str
    saga: str

    @property
    def subscription(self) -> str:
        """The subscription of the app that its events come by."""
        return subscription_of(self.saga)


class Address(NamedTuple):
    """One course of a saga."""

    app: str
    saga: str
    key: str

    @property
    def name(self) -> SagaName:
        """The saga."""
        return SagaName(self.app, self.saga)

    def __str__(self) -> str:
        return f"{self.app}/{self.saga}/{self.key}"


class SagaStatus(StrEnum):
    """How far a course is."""

    RUNNING = "running"
    COMPENSATING = "compensating"
    COMPLETED = "completed"
    COMPENSATED = "compensated"

    @property
    def is_over(self) -> bool:
        """Whether nothing more happens in it."""
        return self in {SagaStatus.COMPLETED, SagaStatus.COMPENSATED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """A course as it is stored: what it has taken in, in order."""

    address: Address
    status: SagaStatus = SagaStatus.RUNNING
    taken_in: tuple[Event[Any], ...] = ()

    def position_of(self, event_id: str) -> int | None:
        """The how-manieth event of the course this is; None when it was not taken in."""
        for at, event in enumerate(self.taken_in):
            if event.id == event_id:
                return at
        return None


class DueDeadline(NamedTuple):
    """A deadline that has come; `set_by` is the id of the event at which it was set."""

    name: str
    set_by: str
    due_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one event changes: stored whole or not at all.

    `cancelled` deadlines go; with the end of a course all of them do.
    """

    cause: Event[Any]
    status: SagaStatus
    events: tuple[Event[Any], ...] = ()
    deadlines: tuple[Deadline, ...] = ()
    cancelled: tuple[str, ...] = ()
    is_repeat: bool = False
    """Whether it was taken before: then it changes nothing, whatever the saga would say today."""


class SagaSteps(Generic[StateT]):
    """Says what the next step of a course is."""

    def __init__(self, app: str, saga: Saga[StateT], factory: EventFactory) -> None:
        self.name = SagaName(app, saga.name)
        self.saga = saga
        self._factory = factory
        self._emitter = Emitter(app, self.name.subscription, factory)
        self._starting = frozenset(it.event_type for it in saga.started_by)

    def address(self, event: Event[Any]) -> Address:
        """The course that an event belongs to. Raises InvalidReaction, and what the saga raises."""
        with _cancelling_nobody(self.saga.name):
            key: object = self.saga.correlate(event)  # a team's function: it may return anything
        if not isinstance(key, str) or not key or "\x00" in key:
            raise InvalidReaction(f"saga {self.saga.name!r}: {event.type} has the key {key!r}")
        if len(key.encode()) > LONGEST_KEY_BYTES:
            raise InvalidReaction(
                f"saga {self.saga.name!r}: the key of {event.type} has more than "
                f"{LONGEST_KEY_BYTES} bytes"
            )
        return Address(*self.name, key)

    def starts(self, event: Event[Any]) -> bool:
        """Whether an event begins a course that is not there."""
        return event.type in self._starting

    def step(self, course: Course, event: Event[Any]) -> Step | None:
        """The step that an event is; None when the course is over. Raises what the saga raises."""
        if course.position_of(event.id) is not None:
            return Step(cause=event, status=course.status, is_repeat=True)
        if course.status.is_over:
            return None
        return self._decided((*course.taken_in, event), course.status)

    def went_out(self, course: Course, event: Event[Any]) -> tuple[Event[Any], ...]:
        """The events of the step that a repeat was, with the same ids.

        Raises what the saga raises today: it may have been another release that took the step.
        """
        at = course.position_of(event.id)
        if at is None:
            return ()
        return self._decided(course.taken_in[: at + 1], SagaStatus.RUNNING).events

    def passed(self, course: Course, deadline: DueDeadline) -> Step | None:
        """The step that the passing of a deadline is; the event of it goes out first.

        None when the course is over. Raises InvalidReaction when the course has never set the
        deadline, and what the saga raises.
        """
        event = self.passing(course, deadline)
        step = self.step(course, event)
        return None if step is None else replace(step, events=(event, *step.events))

    def passing(self, course: Course, deadline: DueDeadline) -> Event[DeadlinePassed]:
        """The event of a deadline that has come: the same however often it is tried."""
        at = course.position_of(deadline.set_by)
        if at is None:
            raise InvalidReaction(f"{course.address} has not set the deadline {deadline.name!r}")
        cause, due_ms = course.taken_in[at], milliseconds(deadline.due_at)
        origin = f"{self.name.subscription}/{course.address.key}/{deadline.name}"
        return self._factory.create(
            DeadlinePassed(
                app=self.name.app,
                saga=self.name.saga,
                key=course.address.key,
                deadline=deadline.name,
            ),
            aggregate_id=str(course.address),
            correlation_id=cause.correlation_id or cause.id,
            causation_id=cause.id,
            metadata=cause.metadata,
            id=derived_id(cause.id, self.name.app, origin, 0, due_ms),
            timestamp=deadline.due_at,
        )

    def state(self, events: Sequence[Event[Any]]) -> StateT:
        """The state of a course that has taken these events in."""
        state = self.saga.initial()
        for event in events:
            state = self.saga.evolve(state, event)
        return state

    def _decided(self, taken_in: tuple[Event[Any], ...], status: SagaStatus) -> Step:
        with _cancelling_nobody(self.saga.name):
            return self._step(taken_in[-1], self._decision(taken_in, status))

    def _decision(self, taken_in: tuple[Event[Any], ...], status: SagaStatus) -> "_Decision":
        cause, state = taken_in[-1], self.state(taken_in)
        made = _Decision(status)
        for reaction in self.saga.decide(state, cause):
            match reaction:
                case Emit():
                    made.emitted.append(reaction)
                case Deadline():
                    made.deadlines[reaction.name] = reaction
                    made.cancelled.discard(reaction.name)
                case CancelDeadline():
                    made.deadlines.pop(reaction.name, None)
                    made.cancelled.add(reaction.name)
                case Compensate():
                    made.compensate(self.saga.compensate(state))
                case Complete():
                    made.complete()
                case _:
                    raise InvalidReaction(f"saga {self.saga.name!r} decided {reaction!r}")
        return made

    def _step(self, cause: Event[Any], made: "_Decision") -> Step:
        events = tuple(
            self._emitter.caused(cause, ordinal, emitted.data, emitted.aggregate_id)
            for ordinal, emitted in enumerate(made.emitted)
        )
        is_over = made.status.is_over
        return Step(
            cause=cause,
            status=made.status,
            events=events,
            deadlines=() if is_over else tuple(made.deadlines.values()),
            cancelled=() if is_over else tuple(sorted(made.cancelled)),
        )


class _Decision:
    """The reactions to one event, gathered."""

    def __init__(self, status: SagaStatus) -> None:
        self.status = status
        self.emitted: list[Emit] = []
        self.deadlines: dict[str, Deadline] = {}
        self.cancelled: set[str] = set()

    def compensate(self, undoing: Sequence[Emit]) -> None:
        self.emitted += undoing
        self.status = SagaStatus.COMPENSATING if undoing else SagaStatus.COMPENSATED

    def complete(self) -> None:
        is_undone = self.status in {SagaStatus.COMPENSATING, SagaStatus.COMPENSATED}
        self.status = SagaStatus.COMPENSATED if is_undone else SagaStatus.COMPLETED


@contextmanager
def _cancelling_nobody(saga: str) -> Iterator[None]:
    """A saga waits for nothing, so a CancelledError of its own is no cancellation of the task.

    Raised on it would end whoever fires deadlines as if that had been asked for.
    """
    try:
        yield
    except asyncio.CancelledError as error:
        raise InvalidReaction(f"saga {saga!r} raised CancelledError") from error


def subscription_of(saga: str) -> str:
    """The subscription by which the events of a saga come."""
    return f"saga-{saga}"
