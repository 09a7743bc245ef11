"""Analyses as appended aggregates, and an appender in process to write them with."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from schemas.catalog import PACKAGED, Catalog
from schemas.codec import Codec
from schemas.event import Event, EventFactory
from schemas.source import read_sources
from streams.errors import VersionConflict
from streams.expectation import Appended, ExpectedVersion
from streams.memory.log import MemoryLog
from streams.memory.schemas import MemoryWriterSchemas
from streams.memory.stored import MemoryStoredEvents
from streams.reading import EventReading
from streams.records import OutgoingRecord


def appended_catalog(*aggregate_types: str) -> Catalog:
    """The packaged event types, those of these aggregates as appended ones."""
    sources, faults = read_sources(PACKAGED)
    assert faults == []
    return Catalog(
        replace(source, attributes=replace(source.attributes, appended=True))
        if source.attributes.aggregate in aggregate_types
        else source
        for source in sources
    )


APPENDED = appended_catalog("Analysis")


class FakeAppender:
    """Implements CommandAppender over a log in process; says what is done to it.

    `interference` is run before the next appends, one function each: somebody else is faster.
    """

    def __init__(self, log: MemoryLog, catalog: Catalog = APPENDED) -> None:
        self.appends = 0
        self.interference: list[Any] = []
        self._is_interfering = False
        self._log = log
        self._codec = Codec(catalog)
        self._versions: defaultdict[str, int] = defaultdict(int)
        self._results: dict[tuple[str, str, str], Appended] = {}

    async def append(
        self,
        events: Sequence[Event[Any]],
        expected: ExpectedVersion,
        *,
        command_id: str | None = None,
    ) -> Appended:
        """See EventAppender."""
        if self.interference and not self._is_interfering:
            self._is_interfering = True
            await self.interference.pop(0)()
            self._is_interfering = False
        first = events[0].aggregate
        assert first is not None
        assert all(event.aggregate == first for event in events)
        assert first.version is None
        known = self._results.get((first.type, first.id, command_id or ""))
        if known is not None:
            return known._replace(is_repeat=True)
        key = events[0].key
        actual = self._versions[key]
        if expected.version not in (None, actual):
            raise VersionConflict(key, expected.version or 0, actual)
        self.appends += 1
        stored = tuple(
            self._written(event, version) for version, event in enumerate(events, actual + 1)
        )
        self._versions[key] = actual + len(events)
        result = Appended(stored, self._versions[key])
        if command_id is not None:
            self._results[first.type, first.id, command_id] = result
        return result

    async def result_of(
        self, aggregate_type: str, aggregate_id: str, command_id: str
    ) -> Appended | None:
        """See CommandResults."""
        found = self._results.get((aggregate_type, aggregate_id, command_id))
        return None if found is None else found._replace(is_repeat=True)

    def _written(self, event: Event[Any], version: int) -> Event[Any]:
        assert event.aggregate is not None
        aggregate = event.aggregate._replace(version=version)
        stored = Event(event.envelope._replace(aggregate=aggregate), event.data)
        value = self._codec.encode(stored)
        self._log.append(OutgoingRecord(topic=event.topic, key=event.key.encode(), value=value))
        return self._codec.view(value)


def stored_in(log: MemoryLog, catalog: Catalog = APPENDED) -> MemoryStoredEvents:
    """What a log holds."""
    codec = Codec(catalog)
    reading = EventReading(codec, MemoryWriterSchemas(log, codec), lambda _type: True)
    return MemoryStoredEvents(log, reading)


def factory_of(catalog: Catalog = APPENDED) -> EventFactory:
    """Makes the events of tests."""
    return EventFactory(catalog, "tests")
