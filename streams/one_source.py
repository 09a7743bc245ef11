"""Entries whose events are all of one source, as most are: opened, settled and encoded by the many.

In C where that is built (`streams/_native_folding.c`), and in Python, which says the same.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Protocol

import orjson

from streams import native
from streams.coverage import OneSource
from streams.projection import NO_STATE, State
from streams.table import END_OF_ONE, OpenEntry, TablePartition

LONGEST_POSITION: Final = 18
"""Digits of a position; an entry with more is opened by whoever opens all others."""

Initial = Callable[[], State]
"""The state before the first event. What it raises is raised by whoever calls it."""


class OneSourceEntries(Protocol):
    """Entries of one partition of a table for the time of a batch."""

    def open(self, key: bytes, /) -> OpenEntry | None:
        """The entry of a key, a new one where nothing is stored.

        None where it has other events, or anything out of the ordinary. Raises what reading the
        store raises.
        """
        ...

    def settle(self, entries: Iterable[OpenEntry], /) -> None:
        """Encode the states of entries, which then hold their events up to `reach`.

        Raises orjson.JSONEncodeError; then nothing has changed.
        """
        ...

    def encode(
        self,
        entries: Mapping[bytes, OpenEntry],
        generation: int,
        /,
    ) -> dict[bytes, bytes]:
        """What is to be stored of those that have changed; see OpenEntry.encode."""
        ...


class OneSourceEntriesInPython:
    """Implements OneSourceEntries."""

    def __init__(self, partition: TablePartition, expected: OneSource, initial: Initial) -> None:
        self._value_of = partition.value
        self._expected = expected
        self._initial = initial

    def open(self, key: bytes) -> OpenEntry | None:
        """See OneSourceEntries."""
        if not key.isascii():
            return None
        value = self._value_of(key)
        entry = OpenEntry(self._expected, None) if value is None else self._read(value)
        if entry is None:
            return None
        state: object = self._initial() if entry.stored is None else orjson.loads(entry.stored)
        if type(state) is not dict:
            return None
        entry.state = state
        entry.reach = entry.position
        return entry

    def settle(self, entries: Iterable[OpenEntry]) -> None:
        """See OneSourceEntries."""
        given = tuple(entries)
        encoded = [orjson.dumps(entry.state) for entry in given]
        for entry, stored in zip(given, encoded, strict=True):
            entry.stored = stored
            entry.is_changed = True
            entry.reached(self._expected.source)

    def encode(
        self,
        entries: Mapping[bytes, OpenEntry],
        generation: int,
    ) -> dict[bytes, bytes]:
        """See OneSourceEntries."""
        return encoded(entries, generation)

    def _read(self, value: bytes) -> OpenEntry | None:
        expected = self._expected
        if not value.startswith(expected.beginning):
            return None
        position, end, state = value[len(expected.beginning) :].partition(END_OF_ONE)
        if not end or not position.isdigit() or len(position) > LONGEST_POSITION:
            return None
        if position.startswith(b"0") and position != b"0":
            return None  # no JSON: it is refused elsewhere
        return OpenEntry(expected, None if state == NO_STATE else state, int(position))


def encoded(entries: Mapping[bytes, OpenEntry], generation: int) -> dict[bytes, bytes]:
    """What is to be stored of those that have changed, whatever their sources; by key."""
    return {key: entry.encode(generation) for key, entry in entries.items() if entry.is_changed}


_SLOTS: Final = ("_covered", "stored", "position", "state", "reach", "folded", "is_changed")


def _in_c(partition: TablePartition, expected: OneSource, initial: Initial) -> OneSourceEntries:
    slots: Any = OpenEntry.__dict__
    made: OneSourceEntries = native.folding.OneSourceEntries(
        OpenEntry,
        tuple(slots[name] for name in _SLOTS),
        expected,
        expected.source,
        expected.beginning,
        END_OF_ONE,
        NO_STATE,
        partition.at_hand,
        (partition.beyond_hand, initial, orjson.loads, orjson.dumps),
    )
    return made


one_source_entries: Final = _in_c if native.IN_USE else OneSourceEntriesInPython
"""Makes OneSourceEntries, in C where that is built."""
