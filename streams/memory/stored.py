"""Stored events in process: the history is the log itself."""

from collections.abc import AsyncIterator
from typing import Any

from schemas.event import Event
from schemas.topics import all_events_topics
from streams.causation import causation_tree
from streams.event_store import EVERYTHING, LAST_VERSION, Selection
from streams.memory.log import MemoryLog
from streams.reading import EventReading, Unreadable


class MemoryStoredEvents:
    """Implements EventQueries over all `events.*` topics; an event written twice is one event."""

    def __init__(self, log: MemoryLog, reading: EventReading) -> None:
        self._log = log
        self._reading = reading

    async def get_events(
        self,
        aggregate_type: str | None,
        aggregate_id: str,
        from_version: int | None = None,
        target_version: int | None = None,
    ) -> list[Event[Any]]:
        """See StoredEvents; events without a version come last, in order of time."""
        last = LAST_VERSION if target_version is None else target_version
        found = [
            event
            for event in await self._events()
            if (aggregate := event.aggregate) is not None
            and aggregate.id == aggregate_id
            and aggregate_type in (None, aggregate.type)
            and (aggregate.version is None or (from_version or 0) <= aggregate.version <= last)
        ]
        return sorted(found, key=_place_in_history)

    async def get_events_by_correlation(self, correlation_id: str) -> list[Event[Any]]:
        """All events of one request or session, in order of time."""
        return [event for event in await self._events() if event.correlation_id == correlation_id]

    async def history(
        self,
        aggregate_type: str,
        aggregate_id: str,
        from_version: int = 1,
        target_version: int | None = None,
    ) -> AsyncIterator[Event[Any]]:
        """See EventQueries."""
        for event in await self.get_events(
            aggregate_type, aggregate_id, from_version, target_version
        ):
            if event.aggregate is not None and event.aggregate.version is not None:
                yield event

    async def stream(self, selection: Selection = EVERYTHING) -> AsyncIterator[Event[Any]]:
        """See EventQueries."""
        for event in await self._events():
            if selection.holds(event):
                yield event

    async def get_events_by_causation(self, event_id: str) -> list[Event[Any]]:
        """See EventQueries."""
        return causation_tree(await self._events(), event_id)

    async def _events(self) -> list[Event[Any]]:
        found: dict[str, Event[Any]] = {}
        for topic in all_events_topics():
            for record in self._log.topic(topic):
                event = await self._reading.read(record)
                if event is not None and not isinstance(event, Unreadable):
                    found.setdefault(event.id, event)
        return sorted(found.values(), key=lambda event: event.timestamp_ms)


def _place_in_history(event: Event[Any]) -> tuple[str, int]:
    aggregate = event.aggregate
    assert aggregate is not None, "a history has events of aggregates alone"
    return aggregate.type, LAST_VERSION if aggregate.version is None else aggregate.version
