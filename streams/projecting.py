"""Applying events to tables, one batch at a time: grouped, each event once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from schemas.event import Event
from streams.projection import Entry, Projection
from streams.records import Origin, OutgoingRecord
from streams.table import Table


@dataclass(slots=True, kw_only=True)
class _Dirty:
    """An entry that the batch has changed, with what was applied since the table's own copy."""

    entry: Entry
    applied: list[tuple[Event[Any], Origin]] = field(default_factory=list)


class TableBatch:
    """The changes of one batch to the tables of one partition.

    Nothing is visible before `store`.
    """

    def __init__(self, tables: Mapping[str, Table], partition: int) -> None:
        self._tables = tables
        self._partition = partition
        self._dirty: dict[tuple[str, str], _Dirty] = {}

    def apply(self, projection: Projection, key: str, event: Event[Any], origin: Origin) -> None:
        """Fold the event into its entry unless it is a repeat.

        When the fold raises, the entry is as before.
        """
        dirty = self._open(projection, key)
        if dirty.entry.is_repeat(event.id, origin):
            return
        try:
            dirty.entry.state = projection.fold(dirty.entry.state, event)
        except BaseException:
            dirty.entry = self._fold_again(projection, key, dirty.applied)
            raise
        dirty.entry.applied(event.id, origin)
        dirty.applied.append((event, origin))

    def changelog(self) -> list[OutgoingRecord]:
        """One record per changed entry, for the partition that owns it."""
        return [
            OutgoingRecord(
                topic=self._tables[name].changelog,
                key=key.encode(),
                value=dirty.entry.encode(),
                partition=self._partition,
            )
            for (name, key), dirty in self._dirty.items()
            if dirty.applied
        ]

    def store(self) -> None:
        """Make the changes visible; to be called once their changelog records are acknowledged."""
        for (name, key), dirty in self._dirty.items():
            if dirty.applied:
                self._tables[name].put(key, dirty.entry.encode(), self._partition)

    def _open(self, projection: Projection, key: str) -> _Dirty:
        dirty = self._dirty.get((projection.name, key))
        if dirty is None:
            dirty = self._dirty[projection.name, key] = _Dirty(entry=self._stored(projection, key))
        return dirty

    def _stored(self, projection: Projection, key: str) -> Entry:
        value = self._tables[projection.name].get(key)
        return Entry(state=projection.initial()) if value is None else Entry.decode(value)

    def _fold_again(
        self, projection: Projection, key: str, applied: list[tuple[Event[Any], Origin]]
    ) -> Entry:
        entry = self._stored(projection, key)
        for event, origin in applied:
            entry.state = projection.fold(entry.state, event)
            entry.applied(event.id, origin)
        return entry
