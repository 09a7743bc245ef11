"""Which event is being handled, for the log lines that are written meanwhile.

A handler that does not wait has the event loop to itself: a note of its try is enough, and costs
next to nothing. Before it waits, its event is bound to the task instead.
"""

from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any, Final

import structlog

from schemas.event import Event
from schemas.headers import traceparent
from streams.context import Context


class _AtWork:
    """The try that the event loop is in the middle of, if it is a first one."""

    __slots__ = ("context",)

    def __init__(self) -> None:
        self.context: Context | None = None


AT_WORK: Final = _AtWork()


@contextmanager
def bound_to(subscription: str, handler: str, event: object = None) -> Iterator[None]:
    """Name the handler, and the event if it is one, on all log lines of this task."""
    AT_WORK.context = None
    facts = {"subscription": subscription, "handler": handler}
    if isinstance(event, Event):
        facts |= facts_of(event)
    with structlog.contextvars.bound_contextvars(**facts):
        yield


def facts_of(event: Event[Any]) -> dict[str, str]:
    """What names an event on a log line."""
    _, trace_id, *_ = traceparent(event).split("-")
    return {"event_id": event.id, "event_type": event.type, "trace_id": trace_id}


def add_event(
    _logger: object, _method: str, line: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """A structlog processor: adds the event of the try that writes the line."""
    context = AT_WORK.context
    if context is None or context.is_over:
        return line
    facts = {**facts_of(context.cause), **context.emitter.facts()}
    return {**facts, **line}
