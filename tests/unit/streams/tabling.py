"""Events, records and folds for tests of tables; a changelog that may lose its end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from schemas.envelope import Category, Envelope, Metadata, Priority
from schemas.event import Event
from schemas.identity import uuid7
from streams.projecting import TableBatch
from streams.projection import Entry, Projection, State
from streams.records import ORIGIN, OutgoingRecord, RawRecord
from streams.table import Change, MemoryTable, Table

PARTITION = 3


class FoldFailed(Exception):
    """The event cannot be folded."""


def collect(state: State, event: Event[Any]) -> State:
    """Note the id, in place; some events fail only after that, by raising or by their state."""
    state.setdefault("ids", []).append(event.id)
    if event.source == "raises":
        raise FoldFailed
    if event.source == "spoils":
        state["spoilt"] = object()
    return state


COLLECTED = Projection(name="collected", patterns=("*",), fold=collect, initial=dict)


def event_id(number: int) -> str:
    """A UUIDv7, another for each number."""
    return uuid7(number, number.to_bytes(10, "big"))


def event(number: int, source: str = "good") -> Event[Any]:
    """An event whose source says how its fold ends."""
    return named(event_id(number), source)


def named(id_: str, source: str = "good") -> Event[Any]:
    """An event with this id."""
    envelope = Envelope(
        id=id_,
        type="analysis.started",
        category=Category.DOMAIN,
        priority=Priority.HIGH,
        version="1.0.0",
        timestamp_ms=0,
        source=source,
        correlation_id=None,
        causation_id=None,
        aggregate=None,
        metadata=Metadata(),
    )
    return Event(envelope, dict)


def record(
    offset: int, key: bytes | None = b"k", topic: str = "t", *headers: tuple[str, bytes]
) -> RawRecord:
    """A record of the partition that all tests use."""
    return RawRecord(topic, PARTITION, offset, 0, key, b"", headers)


def redriven(original: RawRecord, offset: int) -> RawRecord:
    """The record as it stands in another topic, with the place where it first stood."""
    return record(offset, original.key, "retry", (ORIGIN, original.origin.encode()))


def table(**settings: Any) -> MemoryTable:
    """An empty table."""
    return MemoryTable("changelog", **settings)


def batch_on(target: Table) -> TableBatch:
    """A batch of events for the projection COLLECTED."""
    return TableBatch({"collected": target}, PARTITION)


def batch_that_views_again(
    target: Table, deliveries: Iterable[tuple[RawRecord, Event[Any]]]
) -> TableBatch:
    """A batch that lets go of these events, and gets them again by the place of their records."""
    known = {(record.topic, record.offset): event for record, event in deliveries}

    def view_again(records: Sequence[RawRecord]) -> Sequence[Event[Any]]:
        return [known[it.topic, it.offset] for it in records]

    return TableBatch({"collected": target}, PARTITION, view_again)


def fold_each(
    batch: TableBatch, deliveries: Iterable[tuple[RawRecord, Event[Any]]]
) -> Sequence[RawRecord]:
    """What a rebuild does with events from anywhere; returns the dead letters."""
    return _fold_singly(batch, batch.fold_all(COLLECTED, deliveries))


def fold_read(
    batch: TableBatch, *parts: Sequence[tuple[RawRecord, Event[Any]]]
) -> Sequence[RawRecord]:
    """What a processor does with a batch that it reads in parts; returns the dead letters."""
    undone: list[tuple[RawRecord, Event[Any]]] = []
    buried: list[RawRecord] = []
    for part in parts:
        if part:
            records, events = zip(*part, strict=True)
            undone += batch.fold_in_order(COLLECTED, records[0].source, records, events)
            buried += _fold_singly(batch, undone, settles=False)
            undone.clear()
    return [*buried, *_fold_singly(batch, ())]


def _fold_singly(
    batch: TableBatch, undone: Iterable[tuple[RawRecord, Event[Any]]], *, settles: bool = True
) -> list[RawRecord]:
    buried: list[RawRecord] = []
    for delivered, happened in undone:
        try:
            batch.fold(COLLECTED, delivered, happened)
        except FoldFailed:
            batch.leave_out(COLLECTED, delivered)
            buried.append(delivered)
    while settles and (failures := batch.settle()):
        for failed in failures:
            if failed.is_behind:
                batch.fold(COLLECTED, failed.record, failed.event)
            else:
                buried.append(failed.record)
    return buried


def changelog_of(batch: TableBatch) -> list[OutgoingRecord]:
    """What a batch writes, record by record."""
    return [record for entries in batch.changelog() for record in entries.records()]


def changes_of(written: Iterable[OutgoingRecord]) -> list[Change]:
    """Changelog records as a recovery gets them."""
    return [(change.key, change.value) for change in written]


def recovered(changelog: Iterable[Change], **settings: Any) -> MemoryTable:
    """A table from its changelog."""
    target = table(**settings)
    target.partition(PARTITION).recover(changelog, None)
    return target


def ids_in(target: Table) -> dict[str, list[str]]:
    """The ids that a table holds, by key."""
    return {entry.key: Entry.decode(entry.value).state["ids"] for entry in target.entries()}
