"""What a handler may do beside reading its event: emit events that survive a re-run unchanged."""

from typing import TypeVar

from schemas.event import Event, EventData, EventFactory
from schemas.identity import derived_id
from streams.errors import HandlerReturned

DataT = TypeVar("DataT", bound=EventData)


class Context:
    """One try of one handler on one event.

    Emitted events are held back until the handler returns: a try that fails emits nothing. Their
    ids and timestamps are derived from (cause, app, handler, ordinal), so a handler that runs again
    after a crash emits the same events, which every reader drops by id.
    """

    __slots__ = ("_app", "_cause", "_emitted", "_factory", "_handler", "_is_over")

    def __init__(
        self, *, cause: Event[object], app: str, handler: str, factory: EventFactory
    ) -> None:
        self._cause = cause
        self._app = app
        self._handler = handler
        self._factory = factory
        self._emitted: list[Event[EventData]] = []
        self._is_over = False

    async def publish(self, data: DataT, *, aggregate_id: str | None = None) -> Event[DataT]:
        """Emit an event that is caused by the handled one, within its correlation.

        Raises HandlerReturned when the handler's try is over.
        """
        if self._is_over:
            raise HandlerReturned(f"handler {self._handler!r} emitted {data.event_type!r} too late")
        cause = self._cause
        event = self._factory.create(
            data,
            aggregate_id=aggregate_id,
            correlation_id=cause.correlation_id or cause.id,
            causation_id=cause.id,
            metadata=cause.metadata,
            id=derived_id(
                cause.id, self._app, self._handler, len(self._emitted), cause.timestamp_ms
            ),
            timestamp=cause.timestamp,
        )
        self._emitted.append(event)
        return event

    def finish(self) -> tuple[Event[EventData], ...]:
        """End the try: what was emitted, in order. Nothing can be emitted any more."""
        self._is_over = True
        return tuple(self._emitted)
