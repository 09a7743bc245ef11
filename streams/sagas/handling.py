"""The events of a saga, taken in by handlers of a subscription of its own."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import structlog

from schemas.codec import Codec
from schemas.event import Event
from streams.context import Context
from streams.errors import JournalFailed
from streams.handler import Handler
from streams.journalled_appender import AppendJournal
from streams.sagas.course import Course, SagaSteps, Step
from streams.sagas.store import SagaStore

log = structlog.get_logger(__name__)


StepListener = Callable[[Step], None]
"""Told of every step that is stored; what it raises is raised on, and the step stays stored."""


def no_listener(_step: Step) -> None:
    """For whom steps need not be told."""


class StepJournal:
    """Implements StepListener: writes down what went out with a step, as of an append.

    A process that was killed between the commit and its lines writes them when the event comes
    again: a repeat is written down like a first step.
    """

    def __init__(self, journal: AppendJournal, codec: Codec) -> None:
        self._journal = journal
        self._codec = codec

    def __call__(self, step: Step) -> None:
        """See StepListener. Raises JournalFailed."""
        for event in step.events:
            try:
                self._journal.appended(event, self._codec.encode(event))
            except Exception as error:
                log.exception("event not journalled", event_id=event.id)
                raise JournalFailed(f"the event {event.id} is in no journal: {error}") from error


class SagaHandling:
    """Takes events into the courses of one saga.

    What a step emits goes out by the store, in the transaction of the step, so a handler that runs
    again after a crash finds the step taken, and emits nothing a second time.
    """

    def __init__(
        self,
        steps: SagaSteps[Any],
        store: SagaStore,
        *,
        on_step: StepListener = no_listener,
        on_deadline: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_deadline` is told that a deadline was set, which may be the next one due."""
        self._steps = steps
        self._store = store
        self._on_step = on_step
        self._on_deadline = on_deadline

    def handlers(self) -> Sequence[Handler]:
        """A handler for each type that the saga names, all under one name.

        What has failed is waited for by name, so an event waits behind an earlier one of its
        aggregate, whatever the types of the two are.
        """
        saga = self._steps.saga
        types = dict.fromkeys(it.event_type for it in (*saga.started_by, *saga.continued_by))
        subscription = self._steps.name.subscription
        return [
            Handler(
                name=subscription,
                pattern=event_type,
                subscription=subscription,
                function=self._handle,
            )
            for event_type in types
        ]

    async def _handle(self, event: Event[Any], _context: Context) -> None:
        steps = self._steps
        address = steps.address(event)
        act = self._store.take if steps.starts(event) else self._store.carry_on
        step = await act(address, lambda course: self._judged(course, event))
        if step is None:
            log.debug("left aside", course=str(address), type=event.type, event_id=event.id)
            return
        self._on_step(step)
        if step.deadlines:
            self._on_deadline()

    def _judged(self, course: Course, event: Event[Any]) -> Step | None:
        step = self._steps.step(course, event)
        if step is None or not step.is_repeat or self._on_step is no_listener:
            return step
        try:
            return replace(step, events=self._steps.went_out(course, event))
        except Exception:
            # The event is done: what the saga thinks of it today must not park it.
            log.exception("a repeat is not told", course=str(course.address), event_id=event.id)
            return step
