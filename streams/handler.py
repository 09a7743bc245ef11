"""Handlers: a reaction to events of a type or a pattern."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from inspect import isroutine
from typing import Any, Final, get_args, get_origin, get_type_hints

from schemas.event import Event, EventData
from schemas.pattern import matches
from streams.context import BatchContext, Context
from streams.errors import HandlerMismatch
from streams.policies import DEFAULT_STACK, PolicyStack
from streams.retry import RetrySchedule

HandlerFunction = Callable[[Event[Any], Context], Awaitable[None]]
BatchHandlerFunction = Callable[[Sequence[Event[Any]], BatchContext], Awaitable[None]]
EventPredicate = Callable[[Event[Any]], bool]

MAIN: Final = "main"
"""The subscription that an app has unless a handler asks for its own."""


def every_event(event: Event[Any]) -> bool:
    """The predicate of a handler that can handle whatever its pattern delivers."""
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Reaction:
    """What all handlers have: a name, and which events they take.

    Handlers of one subscription run in their `order`, lowest first, then as registered. `policies`
    say what happens around a try, and to an event that fails.
    """

    name: str
    pattern: str
    order: int = 0
    can_handle: EventPredicate = every_event
    subscription: str = MAIN
    policies: PolicyStack = field(default=DEFAULT_STACK, hash=False)

    @property
    def deadline_s(self) -> float:
        """How long a try may take before it is cancelled; that counts as a failure."""
        return self.policies.deadline_s

    @property
    def retry(self) -> RetrySchedule:
        """When an event that has failed is tried again."""
        return self.policies.retry

    def wants(self, event_type: str) -> bool:
        """Whether events of this type can concern the handler.

        Decided before anything is decoded.
        """
        return matches(self.pattern, event_type)


@dataclass(frozen=True, slots=True, kw_only=True)
class Handler(Reaction):
    """A reaction to one event at a time.

    `concurrency` is how many events of one partition, all of different keys, may be in work at a
    time.
    """

    function: HandlerFunction
    concurrency: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchHandler(Reaction):
    """A reaction to what one partition delivered at once: a list of events, in order.

    It runs when the handlers that take one event have run.
    """

    function: BatchHandlerFunction


def check_annotation(function: HandlerFunction, pattern: str) -> None:
    """Raise HandlerMismatch when the annotated event is one that the pattern never delivers."""
    # An object that can be called has its annotations on its class.
    hints = get_type_hints(function if isroutine(function) else type(function).__call__)
    hints.pop("return", None)
    annotation = next(iter(hints.values()), None)
    if get_origin(annotation) is Sequence:
        (annotation,) = get_args(annotation)
    if get_origin(annotation) is not Event:
        return
    (data_type,) = get_args(annotation)
    if not (isinstance(data_type, type) and issubclass(data_type, EventData)):
        return
    if not matches(pattern, data_type.event_type):
        raise HandlerMismatch(
            f"handler {function.__name__!r} takes {data_type.event_type!r}, "
            f"but its pattern is {pattern!r}"
        )
