"""Given events, when an event or a deadline, then reactions: the test of a saga.

    SagaScenario(SetupWorkflowSaga()).given(SetupSessionStarted(...)).when_passed("step").then(
        SetupSessionFailed(...)
    )

Pure: nothing is stored, nothing waits, and every run has the same ids and times. What does not hold
is an AssertionError that shows both sides.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Generic, TypeVar

from schemas.catalog import Catalog
from schemas.event import Event
from streams.sagas.course import Course, DueDeadline, SagaStatus, SagaSteps, Step
from streams.sagas.saga import CancelDeadline, Deadline, DeadlinePassed, Saga
from streams.testing.events import (
    FIRST_TIME,
    Told,
    counting_factory,
    data_of,
    difference,
    packaged_catalog,
    whole_event,
)

StateT = TypeVar("StateT")

Expected = Told | Deadline | CancelDeadline
"""What a step is expected to bring about."""


class SagaScenario(Generic[StateT]):
    """One course of a saga, whose story begins with what is given."""

    def __init__(self, saga: Saga[StateT], *, catalog: Catalog | None = None) -> None:
        """`catalog`: the event types, those of the platform when it is left out."""
        self._saga = saga
        self._catalog = catalog or packaged_catalog()
        self._given: tuple[Told | str, ...] = ()

    def given(self, *history: Told) -> "SagaScenario[StateT]":
        """The saga has taken these events in; what they brought about is left alone."""
        self._given += history
        return self

    def given_passed(self, deadline: str) -> "SagaScenario[StateT]":
        """A deadline of this name has passed, behind what was given before."""
        self._given += (deadline,)
        return self

    def when(self, told: Told, *, times: int = 1) -> "SagaOutcome[StateT]":
        """The event comes. With `times=2` it is delivered again: that must change nothing."""
        story = self._story()
        event = story.event(told)
        outcome = story.take(event)
        for _ in range(times - 1):
            story.again(event)
        return outcome

    def when_passed(self, deadline: str, *, times: int = 1) -> "SagaOutcome[StateT]":
        """The deadline of this name comes; AssertionError when it is not waited for.

        With `times=2` it is fired again, as by a second process: that must change nothing.
        """
        story = self._story()
        due = story.due(deadline)
        outcome = story.take(story.passing(due))
        for _ in range(times - 1):
            story.again(story.passing(due))
        return outcome

    def _story(self) -> "_Story[StateT]":
        story = _Story(self._saga, self._catalog)
        for told in self._given:
            event = story.passing(story.due(told)) if isinstance(told, str) else story.event(told)
            given = story.take(event)
            if given.failure is not None:
                raise AssertionError("the saga fails on what is given") from given.failure
        return story


class SagaOutcome(Generic[StateT]):
    """What an event has brought about in a course."""

    def __init__(
        self, step: Step | None, state: StateT, waiting: Iterable[str], failure: Exception | None
    ) -> None:
        self.step = step
        self.state = state
        self.waiting = frozenset(waiting)
        self.failure = failure

    @property
    def events(self) -> tuple[Event[Any], ...]:
        """What goes out, but for the passing of the deadline itself."""
        events = () if self.step is None else self.step.events
        return tuple(event for event in events if event.type != DeadlinePassed.event_type)

    def then(self, *expected: Expected) -> "SagaOutcome[StateT]":
        """Exactly these events in this order, compared by their data, and these deadlines."""
        self._refuse_failure()
        events = [it for it in expected if not isinstance(it, Deadline | CancelDeadline)]
        if data_of(self.events) != data_of(events):
            what = "other events were emitted"
            raise AssertionError(difference(what, data_of(events), data_of(self.events)))
        deadlines = {it for it in expected if isinstance(it, Deadline | CancelDeadline)}
        found = self._deadlines()
        if found != deadlines:
            what = "other deadlines were set or cancelled"
            raise AssertionError(difference(what, _sorted(deadlines), _sorted(found)))
        return self

    def then_status(self, expected: SagaStatus) -> "SagaOutcome[StateT]":
        """The course is so far."""
        self._refuse_failure()
        found = None if self.step is None else self.step.status
        if found is not expected:
            raise AssertionError(difference("the status is another", [expected], [found]))
        return self

    def then_waiting_for(self, *deadlines: str) -> "SagaOutcome[StateT]":
        """Exactly these deadlines are waited for behind the step."""
        self._refuse_failure()
        if self.waiting != frozenset(deadlines):
            what = "other deadlines are waited for"
            raise AssertionError(difference(what, sorted(deadlines), sorted(self.waiting)))
        return self

    def then_left_aside(self) -> "SagaOutcome[StateT]":
        """The event was not taken in: it starts nothing, or the course is over."""
        self._refuse_failure()
        if self.step is not None:
            found = [self.step.cause.data]
            raise AssertionError(difference("an event was taken in", (), found))
        return self

    def then_state(self, expected: StateT) -> "SagaOutcome[StateT]":
        """This state behind the event."""
        self._refuse_failure()
        if self.state != expected:
            raise AssertionError(difference("the state is another", [expected], [self.state]))
        return self

    def then_failed(self, error: type[Exception], message: str = "") -> "SagaOutcome[StateT]":
        """The saga raised this error, whose text has `message` in it; nothing was taken in."""
        if not isinstance(self.failure, error) or message not in str(self.failure):
            what = "the saga did not fail like this"
            wanted = f"{error.__name__}{f' with {message!r}' if message else ''}"
            raise AssertionError(difference(what, [wanted], [self.failure])) from self.failure
        return self

    def _deadlines(self) -> set[Deadline | CancelDeadline]:
        if self.step is None:
            return set()
        return {*self.step.deadlines, *map(CancelDeadline, self.step.cancelled)}

    def _refuse_failure(self) -> None:
        if self.failure is not None:
            raise AssertionError("the saga failed") from self.failure


class _Story(Generic[StateT]):
    """A course so far, and what it waits for."""

    def __init__(self, saga: Saga[StateT], catalog: Catalog) -> None:
        self._catalog = catalog
        self._factory = counting_factory(catalog)
        self._steps = SagaSteps("test", saga, self._factory)
        self._course: Course | None = None
        self._waiting: dict[str, DueDeadline] = {}

    def event(self, told: Told) -> Event[Any]:
        """See whole_event."""
        return whole_event(told, self._catalog, self._factory)

    def due(self, deadline: str) -> DueDeadline:
        """A deadline that is waited for. Raises AssertionError."""
        if deadline not in self._waiting:
            what = "a deadline that is not waited for cannot pass"
            raise AssertionError(difference(what, [deadline], sorted(self._waiting)))
        return self._waiting[deadline]

    def passing(self, due: DueDeadline) -> Event[Any]:
        """The event of a deadline that comes."""
        assert self._course is not None, "a course has set it"
        return self._steps.passing(self._course, due)

    def take(self, event: Event[Any]) -> SagaOutcome[StateT]:
        """Take an event in, or find out why not. Raises AssertionError for another course's."""
        self._refuse_foreign(event)
        try:
            step = self._step(event)
        except Exception as failure:  # noqa: BLE001  # the test says which one it expects
            return self._outcome(None, failure)
        if step is not None and not step.is_repeat:
            self._store(step)
        return self._outcome(step, None)

    def again(self, event: Event[Any]) -> None:
        """The same event once more. Raises AssertionError when it changes anything."""
        step = self._step(event)
        if step is not None and not step.is_repeat:
            what = "the event came again and was taken in a second time"
            raise AssertionError(difference(what, (), data_of(step.events)))

    def _step(self, event: Event[Any]) -> Step | None:
        if self._course is not None:
            return self._steps.step(self._course, event)
        if not self._steps.starts(event):
            return None
        return self._steps.step(Course(address=self._steps.address(event)), event)

    def _refuse_foreign(self, event: Event[Any]) -> None:
        if self._course is None or event.type == DeadlinePassed.event_type:
            return
        expected, found = self._course.address, self._steps.address(event)
        if found != expected:
            what = "an event belongs to another course"
            raise AssertionError(difference(what, [str(expected)], [str(found)]))

    def _store(self, step: Step) -> None:
        course = self._course or Course(address=self._steps.address(step.cause))
        self._course = replace(course, status=step.status, taken_in=(*course.taken_in, step.cause))
        if step.cause.type == DeadlinePassed.event_type:
            self._waiting.pop(step.cause.data.deadline, None)
        for name in step.cancelled:
            self._waiting.pop(name, None)
        if step.status.is_over:
            self._waiting.clear()
        for deadline in step.deadlines:
            due_at = deadline.at or FIRST_TIME
            self._waiting[deadline.name] = DueDeadline(deadline.name, step.cause.id, due_at)

    def _outcome(self, step: Step | None, failure: Exception | None) -> SagaOutcome[StateT]:
        taken_in = () if self._course is None else self._course.taken_in
        return SagaOutcome(step, self._steps.state(taken_in), self._waiting, failure)


def _sorted(deadlines: Iterable[Deadline | CancelDeadline]) -> Sequence[object]:
    return sorted(deadlines, key=lambda it: (it.name, type(it).__name__))
