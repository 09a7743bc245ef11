"""What a handler may do beside reading its event: emit events that survive a re-run unchanged."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from schemas.event import Event, EventData, EventFactory
from schemas.identity import derived_id
from streams.errors import HandlerReturned

DataT = TypeVar("DataT", bound=EventData)


@dataclass(frozen=True, slots=True)
class Emitter:
    """Makes the events that one handler emits."""

    app: str
    handler: str
    factory: EventFactory
    subscription: str = ""

    def facts(self) -> dict[str, str]:
        """What names the handler on a log line."""
        return {"subscription": self.subscription, "handler": self.handler}

    def caused(
        self, cause: Event[object], ordinal: int, data: DataT, aggregate_id: str | None
    ) -> Event[DataT]:
        """The event that `cause` brings about as its `ordinal`-th, the same on every run."""
        return self.factory.create(
            data,
            aggregate_id=aggregate_id,
            correlation_id=cause.correlation_id or cause.id,
            causation_id=cause.id,
            metadata=cause.metadata,
            id=derived_id(cause.id, self.app, self.handler, ordinal, cause.timestamp_ms),
            timestamp=cause.timestamp,
        )


class Context:
    """One try of one handler on one event.

    Emitted events are held back until the handler returns: a try that fails emits nothing. Their
    ids and timestamps are derived from (cause id, app, handler, ordinal), so a handler that runs
    again after a crash emits the same events, which every reader drops by id.
    """

    __slots__ = ("_emitted", "_emitter", "_is_over", "cause")

    def __init__(self, cause: Event[Any], emitter: Emitter) -> None:
        self.cause = cause
        self._emitter = emitter
        self._emitted: tuple[Event[EventData], ...] = ()
        self._is_over = False

    @property
    def emitter(self) -> Emitter:
        """Whose try it is."""
        return self._emitter

    @property
    def is_over(self) -> bool:
        """Whether the handler has returned."""
        return self._is_over

    @property
    def has_emitted(self) -> bool:
        """Whether there is anything to send."""
        return bool(self._emitted)

    async def publish(self, data: DataT, *, aggregate_id: str | None = None) -> Event[DataT]:
        """Emit an event that is caused by the handled one, within its correlation.

        Raises HandlerReturned when the handler's try is over. A type that is appended fails the
        try with AppendRequired: the app's own EventAppender takes it.
        """
        if self._is_over:
            raise HandlerReturned(
                f"handler {self._emitter.handler!r} emitted {data.event_type!r} too late"
            )
        event = self._emitter.caused(self.cause, len(self._emitted), data, aggregate_id)
        self._emitted = (*self._emitted, event)
        return event

    def finish(self) -> tuple[Event[EventData], ...]:
        """End the try: what was emitted, in order. Nothing can be emitted any more."""
        self._is_over = True
        return self._emitted


class BatchContext:
    """One try of one handler on the events of one batch; each has a context of its own.

    What is emitted belongs to the event that caused it, so it does not matter which events were
    delivered together.
    """

    __slots__ = ("_contexts",)

    def __init__(self, contexts: Mapping[str, Context]) -> None:
        """`contexts`: by the id of the event."""
        self._contexts = contexts

    async def publish(
        self, data: DataT, *, cause: Event[object], aggregate_id: str | None = None
    ) -> Event[DataT]:
        """Emit an event that is caused by `cause`, one of the handled ones. See Context."""
        return await self._contexts[cause.id].publish(data, aggregate_id=aggregate_id)
