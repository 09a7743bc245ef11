"""The table of a projection: its entries by partition, kept in a changelog topic.

What a table shows is in its changelog: entries are stored once their records are acknowledged. Its
recovery keeps of each key the furthest entry, not the last, because a worker that has lost its
partitions may write late.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Final, NamedTuple

from schemas.event import Event
from streams.coverage import Coverage, OneSource
from streams.memory.table_store import MemoryEntryStore
from streams.projection import NO_STATE, State, is_shown, joined, split
from streams.records import RawRecord
from streams.table_store import EntryStore
from streams.window import WINDOW_IDS, Slot, Window, is_reserved, slot_key, slot_replaces

HOT_ENTRIES: Final = 16_384
"""How many entries of a partition are kept at hand at least, once so many were in work."""

END_OF_ONE: Final = b"}}\n"
"""What stands between the position and the state of an entry whose events are of one source."""

Change = tuple[bytes | None, bytes | None]
"""Key and value of a changelog record."""


class StoredEntry(NamedTuple):
    """One entry of a table with the partition that it belongs to."""

    key: str
    partition: int
    value: bytes


class OpenEntry:
    """An entry in the hands of a batch.

    `stored` is its last state that is known to be storable, as JSON, None where there is none;
    `state` what the batch makes of it, and `folded` what that holds beyond `stored` where its
    events are looked at singly. Every batch begins with what JSON gives back, so that a restart
    changes nothing. `reach` is the furthest offset of the batch's source that the entry holds,
    ahead of `position`, or of its coverage, until it is settled.
    """

    __slots__ = ("_covered", "folded", "is_changed", "position", "reach", "state", "stored")

    reach: int
    state: State

    def __init__(
        self, covered: Coverage | OneSource, stored: bytes | None, position: int = -1
    ) -> None:
        """`state` and `reach` are set by the batch that opens the entry.

        `covered`: its coverage, or the source that all its events are of; then `position` is the
        furthest of them.
        """
        self._covered = covered
        self.stored = stored
        self.position = position
        self.folded: list[tuple[RawRecord, Event[Any]]] | None = None
        self.is_changed = False

    @property
    def coverage(self) -> Coverage:
        """Its events. Who asks may change it: from now on `position` does not count."""
        covered = self._covered
        if isinstance(covered, OneSource):
            covered = self._covered = covered.coverage(self.position)
        return covered

    def reach_in(self, expected: OneSource, unknown: int) -> int:
        """The furthest offset of the batch's source; `unknown` where ids must be looked at too."""
        covered = self._covered
        if isinstance(covered, OneSource):
            return self.position
        return unknown if covered.recent else covered.positions.get(expected.source, -1)

    def encode(self, generation: int) -> bytes:
        """What is to be stored, written in this generation."""
        covered, state = self._covered, self.stored or NO_STATE
        if isinstance(covered, OneSource) and covered.generation == generation:
            return b"%b%d%b%b" % (covered.beginning, self.position, END_OF_ONE, state)
        coverage = self.coverage
        coverage.generation = generation
        return joined(coverage, state)

    def reached(self, source: str) -> None:
        """All of the source up to `reach` is in `stored` now."""
        if isinstance(self._covered, OneSource):
            self.position = self.reach
        else:
            self._covered.positions[source] = self.reach


@dataclass(frozen=True, slots=True)
class Changes:
    """What a batch has changed in one partition of a table."""

    values: Mapping[bytes, bytes]
    slot: Slot | None = None

    def with_values(self, more: Mapping[bytes, bytes]) -> "Changes":
        """These and some values that only the changelog lacks."""
        return Changes({**self.values, **more}, self.slot)


class TablePartition:
    """One partition of a table, worked on by one batch at a time."""

    def __init__(self, table: "Table", number: int, store: EntryStore, window_ids: int) -> None:
        self.table = table
        self.number = number
        self._store = store
        self._window_ids = window_ids
        self._window: Window | None = None
        self._hot: dict[bytes, bytes] = {}
        self._cooling: dict[bytes, bytes] = {}
        self.overtaken: set[bytes] = set()
        """Keys whose last changelog record is not what is stored: they must be written again.

        Compaction would keep the wrong one.
        """

    @property
    def window(self) -> Window:
        """The last ids that were applied."""
        if self._window is None:
            self._window = Window.stored(self.value, self._window_ids)
        return self._window

    @property
    def slots(self) -> int:
        """How many of what is stored are slots of the window."""
        return next(index for index in count() if self.value(slot_key(index)) is None)

    @property
    def next_offset(self) -> int:
        """All changelog records below it were seen."""
        return self._store.next_offset(self.number)

    def value(self, key: bytes) -> bytes | None:
        """What is stored under a key."""
        at_hand = self._hot.get(key) or self._cooling.get(key)
        return at_hand or self._store.get(self.number, key)

    @property
    def beyond_hand(self) -> Callable[[bytes], bytes | None]:
        """What is stored under a key that is not `at_hand`."""
        return self._store.reading(self.number)

    @property
    def at_hand(self) -> tuple[dict[bytes, bytes], ...]:
        """Values that were stored lately; the first that has a key counts. Only to be read."""
        return self._hot, self._cooling

    def take(self, key: bytes) -> OpenEntry | None:
        """The entry, for a batch that may change it."""
        value = self.value(key)
        if value is None:
            return None
        lines = split(value)
        stored = None if lines.state == NO_STATE else lines.state
        return OpenEntry(Coverage.decode(lines.coverage), stored)

    def store(self, changes: Changes, offsets: Sequence[int] = ()) -> None:
        """Make changes visible, whose changelog records have been acknowledged at `offsets`.

        With records of somebody else in between, what follows them is read again by a recovery.
        """
        self._store.write(self.number, changes.values, self._reached(offsets))
        self.overtaken.difference_update(changes.values)
        if changes.slot is not None:
            self.window.keep(changes.slot)
        if len(self._hot) + len(changes.values) > HOT_ENTRIES:
            self._cooling, self._hot = self._hot, {}
        self._hot.update(changes.values)

    def _reached(self, offsets: Sequence[int]) -> int | None:
        if not offsets:
            return None
        first = self.next_offset
        after = first + len(offsets)
        return after if sorted(offsets) == list(range(first, after)) else None

    def recover(self, changes: Iterable[Change], next_offset: int | None) -> None:
        """Take changelog records in their order. Our changelogs have no deletions."""
        kept: dict[bytes, bytes] = {}
        for key, value in changes:
            if key is None or value is None:
                continue
            known = kept.get(key) or self.value(key)
            kept[key] = value if known is None else _furthest(key, value, known)
            if kept[key] is value:
                self.overtaken.discard(key)
            else:
                self.overtaken.add(key)
        # What must be written again is read again, until somebody has written it.
        self._store.write(self.number, kept, None if self.overtaken else next_offset)
        self._window = None
        self._hot, self._cooling = {}, {}

    def clear(self) -> None:
        """Forget everything, so that it is recovered from the beginning."""
        self._store.delete(self.number)
        self._window = None
        self._hot, self._cooling = {}, {}
        self.overtaken.clear()

    def release(self) -> None:
        """The partition is another worker's now."""
        self._store.release(self.number)

    def entries(self) -> Iterator[StoredEntry]:
        """All entries that have a state."""
        for key, value in self._store.items(self.number):
            if not is_reserved(key) and is_shown(value):
                yield StoredEntry(key.decode(), self.number, value)


class Table:
    """The partitions of a table that this worker has."""

    def __init__(
        self,
        changelog: str,
        store: EntryStore,
        *,
        generation: Callable[[], int] = lambda: 0,
        window_ids: int = WINDOW_IDS,
    ) -> None:
        """`generation` tells the group's generation that the worker is in."""
        self._changelog = changelog
        self._store = store
        self._generation = generation
        self._window_ids = window_ids
        self._partitions: dict[int, TablePartition] = {}

    @property
    def changelog(self) -> str:
        """The compacted topic from which the table is recovered."""
        return self._changelog

    @property
    def generation(self) -> int:
        """The group's generation, which entries are written with."""
        return self._generation()

    def partition(self, number: int) -> TablePartition:
        """One partition; from now on it is among those that the worker has."""
        known = self._partitions.get(number)
        if known is None:
            known = TablePartition(self, number, self._store, self._window_ids)
            self._partitions[number] = known
        return known

    def retain(self, partitions: Collection[int]) -> None:
        """All others have gone to other workers: they are shown no more."""
        for number in [number for number in self._partitions if number not in partitions]:
            self._partitions.pop(number).release()

    def get(self, key: str) -> bytes | None:
        """The entry as it is stored; None where there is none that has a state."""
        encoded = key.encode()
        for partition in self._partitions.values():
            value = partition.value(encoded)
            if value is not None:
                return value if is_shown(value) else None
        return None

    def entries(self) -> Iterator[StoredEntry]:
        """All entries that have a state."""
        for partition in tuple(self._partitions.values()):
            yield from partition.entries()

    def size(self) -> int:
        """How many entries there are, those without a state included; see EntryStore.size."""
        slots = sum(partition.slots for partition in self._partitions.values())
        return max(0, self._store.size() - slots)

    def close(self) -> None:
        """Let go of files."""
        self._store.close()


class MemoryTable(Table):
    """A table in dictionaries, for tests and apps that run in process."""

    def __init__(
        self,
        changelog: str,
        *,
        generation: Callable[[], int] = lambda: 0,
        window_ids: int = WINDOW_IDS,
    ) -> None:
        super().__init__(
            changelog, MemoryEntryStore(), generation=generation, window_ids=window_ids
        )

    def items(self) -> tuple[tuple[str, bytes], ...]:
        """All entries by key."""
        return tuple((entry.key, entry.value) for entry in self.entries())

    def keys(self) -> tuple[str, ...]:
        """All keys."""
        return tuple(entry.key for entry in self.entries())


def _furthest(key: bytes, later: bytes, known: bytes) -> bytes:
    """Which of two values is kept; it stands for both, so it gets the higher generation."""
    if later == known:
        return later
    if is_reserved(key):
        return later if slot_replaces(later, known) else known
    after, before = split(later), split(known)
    coverage, other = Coverage.decode(after.coverage), Coverage.decode(before.coverage)
    kept, lines = later, after
    if not coverage.replaces(other):
        coverage, other = other, coverage
        kept, lines = known, before
    if coverage.generation >= other.generation:
        return kept
    coverage.generation = other.generation
    return joined(coverage, lines.state)
