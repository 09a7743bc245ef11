"""Stored events in process: the history is the log itself."""

from typing import Any

from schemas.event import Event
from schemas.topics import all_events_topics
from streams.memory.log import MemoryLog
from streams.reading import EventReading, Unreadable


class MemoryStoredEvents:
    """Implements StoredEvents over all `events.*` topics; an event written twice is one event."""

    def __init__(self, log: MemoryLog, reading: EventReading) -> None:
        self._log = log
        self._reading = reading

    async def get_events(
        self,
        aggregate_id: str,
        from_version: int | None = None,
        *,
        aggregate_type: str | None = None,
    ) -> list[Event[Any]]:
        """The history of an aggregate in order of time, from a version on where it has versions."""
        return [
            event
            for event in await self._events()
            if (aggregate := event.aggregate) is not None
            and aggregate.id == aggregate_id
            and aggregate_type in (None, aggregate.type)
            and (
                from_version is None
                or aggregate.version is None
                or aggregate.version >= from_version
            )
        ]

    async def get_events_by_correlation(self, correlation_id: str) -> list[Event[Any]]:
        """All events of one request or session, in order of time."""
        return [event for event in await self._events() if event.correlation_id == correlation_id]

    async def _events(self) -> list[Event[Any]]:
        found: dict[str, Event[Any]] = {}
        for topic in all_events_topics():
            for record in self._log.topic(topic):
                event = await self._reading.read(record)
                if event is not None and not isinstance(event, Unreadable):
                    found.setdefault(event.id, event)
        return sorted(found.values(), key=lambda event: event.timestamp_ms)
