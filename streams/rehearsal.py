"""Running a handler on an event of history: what it emits is handed back, and nothing is sent."""

from collections.abc import Sequence
from typing import Any

from schemas.event import Event, EventData, EventFactory
from schemas.identity import derived_id
from streams import deadline
from streams.context import BatchContext, Context, Emitter
from streams.handler import BatchHandler, Handler
from streams.layering import without_breakers


class Rehearsal:
    """One handler of an app, with events that it has or has not handled before.

    The ids of what it emits are derived from the event as in a worker: code that is the same emits
    events that are stored already. What a handler does beside emitting, it does.
    """

    def __init__(self, app: str, handler: Handler | BatchHandler, factory: EventFactory) -> None:
        self._app = app
        self._handler = handler
        self._function = without_breakers(handler)
        self._emitter = Emitter(app, handler.name, factory)

    def takes(self, event: Event[Any]) -> bool:
        """Whether the handler would run."""
        return self._handler.wants(event.type) and self._handler.can_handle(event)

    async def handle(self, event: Event[Any]) -> Sequence[Event[EventData]]:
        """What it emits for the event, in order. Raises what it raises, and HandlerTimedOut."""
        context = Context(event, self._emitter)
        handler = self._handler
        if isinstance(handler, BatchHandler):
            work = self._function([event], BatchContext({event.id: context}))
        else:
            work = self._function(event, context)
        try:
            await deadline.complete(work, handler.deadline_s)
        finally:
            emitted = context.finish()
        return emitted

    def emitted_id(self, cause: Event[Any], ordinal: int) -> str:
        """The id of what it emits as its n-th for an event."""
        return derived_id(cause.id, self._app, self._handler.name, ordinal, cause.timestamp_ms)
