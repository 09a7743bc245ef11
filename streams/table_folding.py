"""The projections of a subscription at work: collected events into tables, written once a batch."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from time import perf_counter
from typing import Any, Final

from schemas.event import Event
from streams.attempts import Failed
from streams.delivery import FailedFold
from streams.edges import Edges
from streams.entry_sending import write_entries
from streams.event_in_work import bound_to
from streams.projecting import TableBatch
from streams.projection import Projection
from streams.receipt import Receipt
from streams.records import RawRecord, TopicPartition
from streams.retry import RetrySchedule
from streams.table import Table
from streams.table_access import TableAccess

FOLD_AT_ONCE: Final = 128
"""How many events are folded before it is looked whether the slice is over."""


FOLDED_ONCE: Final = RetrySchedule(tries=1)
"""A fold comes to the same every time: what it fails for is parked, until the code is mended."""


class Collected:
    """Events on their way into the table of one projection, with the records that brought them."""

    __slots__ = ("events", "records")

    def __init__(self) -> None:
        self.records: list[RawRecord] = []
        self.events: list[Event[Any]] = []

    def add(self, record: RawRecord, event: Event[Any]) -> None:
        """One more."""
        self.records.append(record)
        self.events.append(event)

    def take(self, records: Sequence[RawRecord], events: Sequence[Event[Any]]) -> None:
        """Many more, as many records as events."""
        self.records += records
        self.events += events


class Folding:
    """Changes the tables of a partition. What cannot be folded is left out and parked."""

    def __init__(
        self,
        projections: Sequence[Projection],
        edges: Edges,
        tables: Mapping[str, Table],
    ) -> None:
        self._projections = {known.name: known for known in projections}
        self._edges = edges
        self._tables = tables
        self._parking = edges.parking
        self._access = TableAccess()

    @asynccontextmanager
    async def held(self, source: TopicPartition) -> AsyncIterator[TableBatch]:
        """The tables of this partition are nobody else's meanwhile; `write` is for the end."""
        async with self._access.held(source):
            again = self._edges.reading.view_again
            yield TableBatch(self._tables, source.partition, again)

    def is_wanted(self, source: TopicPartition) -> bool:
        """See TableAccess."""
        return self._access.is_wanted(source)

    async def fold(
        self,
        source: TopicPartition,
        changes: TableBatch,
        collected: Mapping[str, Collected],
        receipts: list[Receipt],
    ) -> None:
        """Fold events that were read from `source`, in its order, some at a time."""
        pace = self._edges.pace
        for name, given in collected.items():
            projection = self._projections[name]
            for begin in range(0, len(given.events), FOLD_AT_ONCE):
                end = begin + FOLD_AT_ONCE
                if pace.is_over():
                    await pace.turn(source.topic, given.records[begin].timestamp_ms)
                records, events = given.records[begin:end], given.events[begin:end]
                if self._parking.line(source).blocked:
                    # An event of the slices before may have failed, or of those before that.
                    records, events = await self._free(source, name, records, events, receipts)
                    if not events:
                        continue
                began = perf_counter()
                undone = changes.fold_in_order(projection, source, records, events)
                took = (perf_counter() - began) / len(events)
                self._edges.metrics.ran(projection.name, took, len(events))
                if undone:
                    # What an outage has taken back stands before these.
                    await self.settle(changes, receipts)
                for record, event in undone:
                    if self._parking.line(source).holds(name, record):
                        receipts += await self._parking.follow(name, record)
                    else:
                        await self._fold_singly(projection, record, event, changes, receipts)

    async def _free(
        self,
        source: TopicPartition,
        name: str,
        records: Sequence[RawRecord],
        events: Sequence[Event[Any]],
        receipts: list[Receipt],
    ) -> tuple[list[RawRecord], list[Event[Any]]]:
        """What need not wait behind others of its aggregate; the rest does so now."""
        line = self._parking.line(source)
        free = Collected()
        for record, event in zip(records, events, strict=True):
            if line.holds(name, record):
                receipts += await self._parking.follow(name, record)
            else:
                free.add(record, event)
        return free.records, free.events

    async def settle(self, changes: TableBatch, receipts: list[Receipt]) -> None:
        """Encode what was folded, and park what no table could hold, with all behind it."""
        for undone in changes.settle():
            name, record = undone.projection.name, undone.record
            if self._parking.line(record.source).holds(name, record):
                receipts += await self._parking.follow(name, record)
                continue
            failed = await self._fold_after_outage(undone, changes)
            if failed is not None:
                receipts += await self._fail(name, record, failed)

    async def _fold_after_outage(self, undone: FailedFold, changes: TableBatch) -> Failed | None:
        """Where something was away, the event is folded once that is back; None when it is."""
        attempts, error = self._edges.attempts, undone.error
        if not attempts.is_outage(error, FOLDED_ONCE):
            return Failed(error=error, tries=1)

        async def attempt() -> None:
            changes.fold(undone.projection, undone.record, undone.event)
            for again in changes.settle():
                raise again.error

        return await attempts.after_once(
            error, attempt, waiting_for=f"projection {undone.projection.name}"
        )

    async def redo(
        self, projection: Projection, record: RawRecord, event: Event[Any], receipts: list[Receipt]
    ) -> Failed | None:
        """Fold an event that has failed before, or that stood behind one; None once it is."""
        async with self.held(record.source) as changes:

            async def attempt() -> None:
                with self._edges.metrics.trying(projection.name, event):
                    changes.fold(projection, record, event)
                    for failed in changes.settle():
                        raise failed.error

            failed = await self._edges.attempts.run_once(
                attempt, waiting_for=f"projection {projection.name}"
            )
            if failed is not None:
                changes.leave_out(projection, record)
            await self.write(changes, receipts)
        return failed

    async def write(self, changes: TableBatch, receipts: list[Receipt]) -> None:
        """Return when the changelogs have the changes: now they are visible."""
        await self.settle(changes, receipts)
        changes.store(await write_entries(self._edges.sender, changes.changelog()))
        self._edges.metrics.written(changes.folded, changes.changed())

    async def _fold_singly(
        self,
        projection: Projection,
        record: RawRecord,
        event: Event[Any],
        changes: TableBatch,
        receipts: list[Receipt],
    ) -> None:
        """Fold one event that failed, or that stands behind one.

        A fold that fails does so again, and others wait for these tables: it has one try.
        """

        metrics = self._edges.metrics

        async def attempt() -> None:
            with bound_to(metrics.subscription, projection.name, event):
                changes.fold(projection, record, event)

        failed = await self._edges.attempts.run_once(
            attempt, waiting_for=f"projection {projection.name}"
        )
        if failed is not None:
            changes.leave_out(projection, record)
            receipts += await self._fail(projection.name, record, failed)

    async def _fail(self, name: str, record: RawRecord, failed: Failed) -> list[Receipt]:
        self._edges.metrics.failed(name)
        return await self._parking.fail(name, record, failed, FOLDED_ONCE)
