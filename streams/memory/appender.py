"""Appends in process: the log itself is the store, and what it holds decides."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.errors import InvalidEventData
from schemas.event import Event
from schemas.framing import schema_id_of
from streams.appending import Append, command_id_of
from streams.errors import VersionConflict
from streams.expectation import Appended, ExpectedVersion
from streams.memory.log import MemoryLog
from streams.partitioner import partition_of
from streams.publisher import event_record
from streams.reading import view_resolved
from streams.records import TopicPartition
from streams.writer_schemas import WriterSchemas

_NOTHING: Final = 0


@dataclass(slots=True)
class _History:
    """What the log holds of appended aggregates, as far as it was read."""

    read_to: dict[TopicPartition, int] = field(default_factory=dict)
    ids: set[str] = field(default_factory=set)
    versions: dict[str, int] = field(default_factory=dict)
    commands: dict[tuple[str, str], list[Event[Any]]] = field(default_factory=dict)


class MemoryEventAppender:
    """Implements CommandAppender: writes to the topics at once. Appenders over one log agree."""

    def __init__(
        self, log: MemoryLog, catalog: Catalog, codec: Codec, schemas: WriterSchemas
    ) -> None:
        self._log = log
        self._catalog = catalog
        self._codec = codec
        self._schemas = schemas
        self._history = _History()
        self._announced: set[int] = set()

    async def append(
        self,
        events: Sequence[Event[Any]],
        expected: ExpectedVersion,
        *,
        command_id: str | None = None,
    ) -> Appended:
        """See EventAppender."""
        wanted = Append.of(self._catalog, events, command_id)
        await self._announce([self._codec.encode(event) for event in wanted.behind(_NOTHING)])
        await self._catch_up(self._source(wanted.topic, wanted.key))
        return self._append(wanted, expected)

    async def result_of(
        self, aggregate_type: str, aggregate_id: str, command_id: str
    ) -> Appended | None:
        """See CommandResults."""
        key = f"{aggregate_type}/{aggregate_id}"
        for topic in self._topics_of(aggregate_type):
            await self._catch_up(self._source(topic, key))
        done = self._history.commands.get((key, command_id))
        return _result(done, is_repeat=True) if done else None

    def _append(self, wanted: Append, expected: ExpectedVersion) -> Appended:
        """Decide and write, without an await in between."""
        if wanted.command_id is not None:
            done = self._history.commands.get((wanted.key, wanted.command_id))
            if done:
                return _result(done, is_repeat=True)
        actual = self._history.versions.get(wanted.key, _NOTHING)
        if expected.version not in (None, actual):
            raise VersionConflict(wanted.key, expected.version or 0, actual)
        for at, event in enumerate(wanted.events):
            if event.id in self._history.ids:
                raise InvalidEventData(f"events[{at}].id", "is that of a stored event")
        versioned = wanted.behind(actual)
        for record in [event_record(event, self._codec.encode(event)) for event in versioned]:
            self._log.append(record)
        for event in versioned:
            self._note(event)
        return _result(versioned, is_repeat=False)

    async def _announce(self, values: Sequence[bytes]) -> None:
        for schema_id in {schema_id_of(value) for value in values} - self._announced:
            await self._schemas.announce(self._catalog.schema_ids()[schema_id])
            self._announced.add(schema_id)

    def _topics_of(self, aggregate_type: str) -> set[str]:
        """An appended aggregate has one, a type that nobody knows none."""
        return {
            known.topic for known in self._catalog.types() if known.aggregate_type == aggregate_type
        }

    def _source(self, topic: str, key: str) -> TopicPartition:
        partitions = self._log.partitions(topic)
        return partitions[partition_of(key.encode(), len(partitions))]

    async def _catch_up(self, source: TopicPartition) -> None:
        """Take in what others have appended; returns without an await behind the last look."""
        while (start := self._history.read_to.get(source, 0)) < self._log.end(source):
            for record in self._log.records(source, start):
                if record.value is not None:
                    self._note(await view_resolved(self._codec, self._schemas, record.value))
                self._history.read_to[source] = record.offset + 1

    def _note(self, event: Event[Any]) -> None:
        aggregate = event.aggregate
        if aggregate is None or aggregate.version is None:
            return
        if aggregate.version <= self._history.versions.get(event.key, _NOTHING):
            return
        self._history.ids.add(event.id)
        self._history.versions[event.key] = aggregate.version
        command_id = command_id_of(event)
        if command_id is not None:
            self._history.commands.setdefault((event.key, command_id), []).append(event)


def _result(events: Sequence[Event[Any]], *, is_repeat: bool) -> Appended:
    last = events[-1].aggregate
    return Appended(
        events=tuple(events),
        version=(last.version or 0) if last is not None else 0,
        is_repeat=is_repeat,
    )
