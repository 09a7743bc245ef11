"""The inner call of every pump: `process(source, records)`.

The pump above may change, the meaning below does not.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple, Protocol

from schemas.errors import SchemaError
from schemas.event import Event, EventFactory
from schemas.topics import repartition_topic
from streams.attempts import Attempts, Failed, Pause
from streams.batch_handling import BatchHandling, Delivered
from streams.burial import Burial
from streams.handler import BatchHandler, Handler
from streams.handling import Handling
from streams.log import RecordSender
from streams.open_table import Delivery
from streams.projecting import TableBatch
from streams.projection import Projection
from streams.publisher import EventPublisher
from streams.reading import KNOWN_TYPES, EventReading, Unreadable
from streams.receipt import Receipt
from streams.records import ORIGIN, OutgoingRecord, RawRecord, TopicPartition
from streams.table import Table
from streams.turns import AtOnce, Pace
from streams.workload import Workload

LOOK_EVERY: Final = 32
"""After how many records it is looked whether the slice is over."""

FOLD_AT_ONCE: Final = 256
"""How many events are folded before it is looked whether the slice is over."""


class Process(Protocol):
    """Works on records of one partition, in order."""

    async def process(self, source: TopicPartition, records: Sequence[RawRecord]) -> None:
        """Return when all the work of these records is done, receipts included.

        When it raises or is cancelled, the records count as unfinished and are read again.
        """
        ...

    @property
    def pause(self) -> Pause | None:
        """What it waits for, when infrastructure is away."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Edges:
    """The ways out of a processor, passed in: bus, log, clock, tries, its share of the time."""

    publisher: EventPublisher
    sender: RecordSender
    factory: EventFactory
    reading: EventReading
    attempts: Attempts
    clock: Callable[[], datetime]
    pace: Pace = field(default_factory=AtOnce)


class _Takers(NamedTuple):
    """Who takes events of one type from one topic."""

    handlers: tuple[Handler, ...]
    batch_handlers: tuple[BatchHandler, ...]
    folded: tuple[Projection, ...]
    rekeyed: tuple[Projection, ...]

    @property
    def rest(self) -> bool:
        """Whether any of the less frequent ones is among them."""
        return bool(self.batch_handlers or self.rekeyed)


class _Work:
    """What the records of one call bring about."""

    __slots__ = ("batches", "foldings", "receipts")

    def __init__(self) -> None:
        self.receipts: list[Receipt] = []
        self.foldings: dict[str, list[Delivery]] = {}
        self.batches: dict[BatchHandler, list[Delivered]] = {}


class AppProcessor:
    """Runs the handlers and projections of a subscription on its records."""

    def __init__(self, workload: Workload, edges: Edges, tables: Mapping[str, Table]) -> None:
        self._workload = workload
        self._edges = edges
        self._tables = tables
        self._burial = Burial(
            app=workload.app, group=workload.group, sender=edges.sender, clock=edges.clock
        )
        self._handling = Handling(
            workload.app,
            edges.publisher,
            edges.factory,
            edges.attempts,
            self._burial,
            in_order=workload.concurrency == 1,
        )
        self._batch_handling = BatchHandling(self._handling, edges.attempts, self._burial)
        self._changing: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._by_repartition_topic = {
            repartition_topic(workload.app, known.name): known
            for known in workload.projections
            if known.key is not None
        }
        self._projections = {known.name: known for known in workload.projections}
        self._takers: dict[tuple[str, str], _Takers] = {}

    @property
    def pause(self) -> Pause | None:
        """What the subscription waits for, when infrastructure is away."""
        return self._edges.attempts.pause

    async def process(self, source: TopicPartition, records: Sequence[RawRecord]) -> None:
        """See Process. Tables are changed after the handlers have run."""
        work = _Work()
        if self._workload.reactions:
            await self._deliver_all(source, records, work)
            for handler, batch in work.batches.items():
                await self._batch_handling.handle(handler, batch, work.receipts)
            if work.foldings:
                async with self._changing[source.partition]:
                    changes = TableBatch(self._tables, source.partition)
                    await self._fold_all(source, changes, work)
                    await self._write(changes, work)
        else:
            for record in self._edges.reading.unknown(records):
                # Known from now on, or known to be unknown: nobody else waits for that.
                await self._look_up(record)
            async with self._changing[source.partition]:
                changes = TableBatch(self._tables, source.partition)
                for begin in range(0, len(records), FOLD_AT_ONCE):
                    await self._deliver_all(source, records[begin : begin + FOLD_AT_ONCE], work)
                    await self._fold_all(source, changes, work)
                    await self._settle(changes, work)
                    work.foldings.clear()
                await self._write(changes, work)
        for receipt in work.receipts:
            await receipt

    async def _look_up(self, record: RawRecord) -> None:
        async def attempt() -> None:
            await self._edges.reading.read(record)

        await self._edges.attempts.run(attempt, waiting_for="writer schemas")

    async def _read(self, record: RawRecord, work: _Work) -> Event[Any] | None:
        """Look closer at bytes or a schema not understood at once; bury what is no event."""
        found: list[Event[Any] | Unreadable | None] = []

        async def attempt() -> None:
            found[:] = [await self._edges.reading.read(record)]

        failed = await self._edges.attempts.run(attempt, waiting_for="writer schemas")
        event = None if failed is not None else found[0]
        if isinstance(event, Unreadable):
            failed = Failed(error=event.error, tries=1)
        if failed is not None:
            await self._bury(record, failed, "read", work)
        return event if isinstance(event, Event) else None

    async def _deliver_all(
        self, source: TopicPartition, records: Sequence[RawRecord], work: _Work
    ) -> None:
        begin = 0
        for end in range(LOOK_EVERY, len(records) + LOOK_EVERY, LOOK_EVERY):
            if begin and self._edges.pace.is_over():
                await self._edges.pace.turn(source.topic, records[begin].timestamp_ms)
            await self._deliver_some(records[begin:end], work)
            begin = end

    async def _deliver_some(self, records: Sequence[RawRecord], work: _Work) -> None:
        """To handlers one by one, to the rest at the end of the batch."""
        view, takers_by_type = self._edges.reading.view, self._takers
        for record in records:
            try:
                event = view(record)
            except SchemaError:
                event = await self._read(record, work)
            if event is None:
                continue
            takers = takers_by_type.get((record.topic, event.type))
            if takers is None:
                takers = self._takers_of(record.topic, event.type)
            for handler in takers.handlers:
                unfinished = self._handling.begin(handler, record, event)
                if unfinished is not None:
                    work.receipts += await unfinished
            for projection in takers.folded:
                work.foldings.setdefault(projection.name, []).append((record, event))
            if takers.rest:
                await self._deliver_to(takers, record, event, work)

    async def _deliver_to(
        self, takers: _Takers, record: RawRecord, event: Event[Any], work: _Work
    ) -> None:
        for handler in takers.batch_handlers:
            work.batches.setdefault(handler, []).append(Delivered(record, event))
        for projection in takers.rekeyed:
            await self._rekey(projection, record, event, work)

    def _takers_of(self, topic: str, event_type: str) -> _Takers:
        """Kept for the next event: the types are those that somebody here wants."""
        workload = self._workload
        own = self._by_repartition_topic.get(topic)
        if own is not None:
            takers = _Takers((), (), (own,) if own.wants(event_type) else (), ())
        else:
            wanting = [known for known in workload.projections if known.wants(event_type)]
            takers = _Takers(
                tuple(known for known in workload.handlers if known.wants(event_type)),
                tuple(known for known in workload.batch_handlers if known.wants(event_type)),
                tuple(known for known in wanting if known.key is None),
                tuple(known for known in wanting if known.key is not None),
            )
        if len(self._takers) < KNOWN_TYPES:
            self._takers[topic, event_type] = takers
        return takers

    async def _rekey(
        self, projection: Projection, record: RawRecord, event: Event[Any], work: _Work
    ) -> None:
        """Send the event on under the projection's key."""
        key_of = projection.key
        assert key_of is not None, "only projections with a key of their own are rekeyed"
        forwarded: list[OutgoingRecord] = []

        async def attempt() -> None:
            forwarded[:] = [_rekeyed(record, self._workload.app, projection.name, key_of(event))]

        failed = await self._edges.attempts.run(
            attempt, waiting_for=f"projection {projection.name}"
        )
        if failed is not None:
            await self._bury(record, failed, projection.name, work)
        for outgoing in forwarded:
            work.receipts.append(await self._edges.sender.send(outgoing))

    async def _write(self, changes: TableBatch, work: _Work) -> None:
        await self._settle(changes, work)
        written = [await self._edges.sender.send(change) for change in changes.changelog()]
        changes.store([await receipt for receipt in written])

    async def _settle(self, changes: TableBatch, work: _Work) -> None:
        for failed in changes.settle():
            failure = Failed(error=failed.error, tries=1)
            await self._bury(failed.record, failure, failed.projection.name, work)

    async def _fold_all(self, source: TopicPartition, changes: TableBatch, work: _Work) -> None:
        pace = self._edges.pace
        for name, deliveries in work.foldings.items():
            projection = self._projections[name]
            for begin in range(0, len(deliveries), FOLD_AT_ONCE):
                if pace.is_over():
                    await pace.turn(source.topic, deliveries[begin][0].timestamp_ms)
                undone = changes.fold_all(projection, deliveries[begin : begin + FOLD_AT_ONCE])
                for record, event in undone:
                    await self._fold(projection, record, event, changes, work)

    async def _fold(
        self,
        projection: Projection,
        record: RawRecord,
        event: Event[Any],
        changes: TableBatch,
        work: _Work,
    ) -> None:
        """Fold one event that failed, or that stands behind one."""

        async def attempt() -> None:
            changes.fold(projection, record, event)

        failed = await self._edges.attempts.run(
            attempt, waiting_for=f"projection {projection.name}"
        )
        if failed is not None:
            changes.leave_out(projection, record)
            await self._bury(record, failed, projection.name, work)

    async def _bury(self, record: RawRecord, failed: Failed, name: str, work: _Work) -> None:
        work.receipts.append(await self._burial.bury(record, failed, name))


def _rekeyed(record: RawRecord, app: str, projection: str, key: str) -> OutgoingRecord:
    return OutgoingRecord(
        topic=repartition_topic(app, projection),
        key=key.encode(),
        value=record.value,
        headers=(*record.headers, (ORIGIN, record.origin.encode())),
    )
