"""Applying events to tables, one batch at a time: grouped, each event once."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from schemas.event import Event
from streams.emission import Emission
from streams.errors import StateNotStorable
from streams.projection import Entry, Projection, State
from streams.records import Origin, OutgoingRecord
from streams.table import Table


@dataclass(slots=True, kw_only=True)
class _Open:
    """An entry that the batch works on; `stored` is its state as of the last event that counted."""

    entry: Entry
    stored: bytes
    is_changed: bool


class TableBatch:
    """The changes of one batch to the tables of one partition.

    Nothing is visible before `store`.
    """

    def __init__(self, tables: Mapping[str, Table], partition: int) -> None:
        self._tables = tables
        self._partition = partition
        self._open_entries: dict[tuple[str, str], _Open] = {}

    def apply(
        self,
        projection: Projection,
        key: str,
        event: Event[Any],
        origin: Origin,
        emission: Emission | None = None,
    ) -> None:
        """Fold the event into its entry unless it is a repeat.

        When the fold raises, the entry is as before. Raises StateNotStorable when what it returns
        is no JSON object.
        """
        opened = self._open(projection, key)
        entry = opened.entry
        if entry.is_repeat(event.id, origin, emission):
            return
        try:
            entry.state = projection.fold(entry.state, event)
            opened.stored = _storable(projection, entry.state)
        except BaseException:
            entry.state = orjson.loads(opened.stored)
            raise
        entry.applied(event.id, origin, emission)
        opened.is_changed = True

    def changelog(self) -> list[OutgoingRecord]:
        """One record per changed entry, for the partition that owns it."""
        return [
            OutgoingRecord(
                topic=self._tables[name].changelog,
                key=key.encode(),
                value=value,
                partition=self._partition,
            )
            for name, key, value in self._changes()
        ]

    def store(self) -> None:
        """Make the changes visible; to be called once their changelog records are acknowledged."""
        for name, key, value in self._changes():
            self._tables[name].put(key, value, self._partition)

    def _changes(self) -> list[tuple[str, str, bytes]]:
        """Table, key and value of what the batch has changed, or what must be written again."""
        changed = {
            (name, key): opened.entry.encode()
            for (name, key), opened in self._open_entries.items()
            if opened.is_changed
        }
        for name, table in self._tables.items():
            for key in table.overtaken(self._partition):
                value = table.get(key)
                if value is not None:
                    changed.setdefault((name, key), value)
        return [(name, key, value) for (name, key), value in changed.items()]

    def _open(self, projection: Projection, key: str) -> _Open:
        opened = self._open_entries.get((projection.name, key))
        if opened is None:
            table = self._tables[projection.name]
            value = table.get(key)
            entry = Entry(state=projection.initial()) if value is None else Entry.decode(value)
            entry.generation = table.generation
            opened = _Open(entry=entry, stored=_storable(projection, entry.state), is_changed=False)
            self._open_entries[projection.name, key] = opened
        return opened


def _storable(projection: Projection, state: State) -> bytes:
    # A fold belongs to a team's app: what it returns need not be what its annotation says.
    kept: object = state
    if not isinstance(kept, dict):
        raise StateNotStorable(
            f"projection {projection.name!r}: the state is a {type(kept).__name__}, no dict"
        )
    try:
        return orjson.dumps(kept)
    except orjson.JSONEncodeError as error:
        raise StateNotStorable(f"projection {projection.name!r}: {error}") from error
