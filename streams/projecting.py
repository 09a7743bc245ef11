"""Applying events to tables, one batch at a time: grouped, each event once."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final

from schemas.event import Event
from streams.delivery import Delivery, FailedFold, ViewAgain
from streams.entry_sending import Stretch
from streams.open_table import OpenTable
from streams.place import Places
from streams.projection import Projection
from streams.records import OutgoingEntries, RawRecord, TopicPartition
from streams.table import Changes, Table

SENT_AT_ONCE: Final = 256
"""How many entries go to the sender together at most: others work between two such parts."""

SENT_BYTES: Final = 56 * 1024
"""How large their keys and values may be together: what is larger goes one by one to Kafka."""

Entries = Sequence[tuple[bytes, bytes]]


class TableBatch:
    """The changes of one batch to the tables of one partition.

    Nothing is visible before `store`. The order of calls: `fold_all` or `fold_in_order`; for each
    that it leaves undone `fold`, and `leave_out` when that is given up; `settle`; `changelog`;
    `store`.
    """

    def __init__(
        self,
        tables: Mapping[str, Table],
        partition: int,
        view_again: ViewAgain | None = None,
    ) -> None:
        """With `view_again` events that were folded are let go of, and made again where needed."""
        self._view_again = view_again
        self._tables = tables
        self._partition = partition
        self.folded = 0
        self._open: dict[str, OpenTable] = {}
        self._places = Places()
        self._changes: dict[str, Changes] | None = None

    def fold_all(
        self, projection: Projection, deliveries: Iterable[Delivery]
    ) -> Sequence[Delivery]:
        """Fold events into the entries of their records' keys, but for repeats.

        Returns those that failed, and those behind them in the same entries, in order: as if they
        had never been given. To be folded one by one, which raises what is wrong. Raises
        StoreFailed, which is no event's fault: the batch cannot go on.
        """
        return self._opened(projection).fold_all(deliveries)

    def fold_in_order(
        self,
        projection: Projection,
        source: TopicPartition,
        records: Sequence[RawRecord],
        events: Sequence[Event[Any]],
    ) -> Sequence[Delivery]:
        """`fold_all` for events that were read from one partition by these records, in its order.

        At least one. `folded` counts them.
        """
        self.folded += len(events)
        return self._opened(projection).fold_in_order(str(source), records, events)

    def fold(self, projection: Projection, record: RawRecord, event: Event[Any]) -> None:
        """Fold one event unless it is a repeat. When it raises, the entry is as before.

        Raises what the fold raises, StateNotStorable when its state is no dict, ValueError when the
        key or a header that names its place cannot be read.
        """
        self._opened(projection).fold(record, event)

    def leave_out(self, projection: Projection, record: RawRecord) -> None:
        """The event is given up: it is applied when it is redriven from its place, and only then.

        Where it cannot be noted, the key or the place being unreadable, nothing happens.
        """
        self._opened(projection).leave_out(record)

    def settle(self) -> Sequence[FailedFold]:
        """Encode states. Returns the events after which no table could hold them: left out now."""
        return [failed for opened in self._open.values() for failed in opened.settle()]

    def changelog(self) -> list[OutgoingEntries]:
        """Each changed entry, and before them the ids, some at a time.

        Raises StateNotStorable when a state is found so only now: `settle` tells before.
        """
        for failed in self.settle():
            raise failed.error
        self._changes = {name: self._changed(name) for name in self._tables}
        return [
            OutgoingEntries(self._tables[name].changelog, self._partition, part, part is parts[-1])
            for name, changes in self._changes.items()
            for parts in [tuple(_parts(changes.values))]
            for part in parts
        ]

    def changed(self) -> Mapping[str, int]:
        """How many records each table has for its changelog; to be called after `changelog`."""
        return {name: len(changes.values) for name, changes in (self._changes or {}).items()}

    def store(self, stretches: Iterable[Stretch] = ()) -> None:
        """Make the changes visible; to be called once their changelog records are acknowledged.

        `stretches`: where they stand, for a store that outlives the process.
        """
        if self._changes is None:
            self.changelog()
        offsets: dict[str, list[int]] = {}
        for topic, found in stretches:
            offsets.setdefault(topic, []).extend(found)
        for name, changes in (self._changes or {}).items():
            table = self._tables[name]
            table.partition(self._partition).store(changes, offsets.get(table.changelog, ()))

    def _opened(self, projection: Projection) -> OpenTable:
        opened = self._open.get(projection.name)
        if opened is None:
            partition = self._tables[projection.name].partition(self._partition)
            opened = OpenTable(projection, partition, self._places, self._view_again)
            self._open[projection.name] = opened
        return opened

    def _changed(self, name: str) -> Changes:
        """What the batch has changed, and what must be written again."""
        partition = self._tables[name].partition(self._partition)
        opened = self._open.get(name)
        changes = Changes({}) if opened is None else opened.changes()
        again = {
            key: value
            for key in partition.overtaken
            if key not in changes.values and (value := partition.value(key)) is not None
        }
        return changes.with_values(again) if again else changes


def _parts(values: Mapping[bytes, bytes]) -> Iterator[Entries]:
    left = iter(values.items())
    while part := tuple(islice(left, SENT_AT_ONCE)):
        if sum([len(key) + len(value) for key, value in part]) <= SENT_BYTES:
            yield part
        else:
            yield from _cut_by_size(part)


def _cut_by_size(entries: Entries) -> Iterator[Entries]:
    """What is too large by itself stands alone."""
    begin = size = 0
    for at, (key, value) in enumerate(entries):
        size += len(key) + len(value)
        if size > SENT_BYTES and at > begin:
            yield entries[begin:at]
            begin, size = at, len(key) + len(value)
    yield entries[begin:]
