"""Handlers: a reaction to events of a type or a pattern."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from inspect import isroutine
from typing import Any, get_args, get_origin, get_type_hints

from schemas.event import Event, EventData
from schemas.pattern import matches
from streams.context import Context
from streams.errors import HandlerMismatch

HandlerFunction = Callable[[Event[Any], Context], Awaitable[None]]
EventPredicate = Callable[[Event[Any]], bool]


def every_event(event: Event[Any]) -> bool:
    """The predicate of a handler that can handle whatever its pattern delivers."""
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Handler:
    """A named reaction.

    Handlers of one subscription run in their `order`, lowest first, then as registered.
    """

    name: str
    pattern: str
    function: HandlerFunction
    order: int = 0
    can_handle: EventPredicate = every_event

    def wants(self, event_type: str) -> bool:
        """Whether events of this type can concern the handler.

        Decided before anything is decoded.
        """
        return matches(self.pattern, event_type)


def check_annotation(function: HandlerFunction, pattern: str) -> None:
    """Raise HandlerMismatch when the annotated event is one that the pattern never delivers."""
    # An object that can be called has its annotations on its class.
    hints = get_type_hints(function if isroutine(function) else type(function).__call__)
    hints.pop("return", None)
    annotation = next(iter(hints.values()), None)
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
