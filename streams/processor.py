"""The inner call of every pump: `process(source, records)`.

The pump above may change, the meaning below does not.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, Protocol

from schemas.event import Event
from streams.attempts import Failed, Pause
from streams.batch_handling import BatchHandling
from streams.edges import Edges
from streams.errors import NoSuchHandler
from streams.handler import BatchHandler, Handler
from streams.handling import Begin, Delivered, Handling
from streams.layering import layered
from streams.parking.letter import READ
from streams.parking.sequences import Line
from streams.projection import Projection
from streams.reading import UNREAD, Unread, Unreadable
from streams.receipt import Receipt
from streams.records import Headers, OutgoingRecord, RawRecord, TopicPartition
from streams.rekeying import LATELY, rekeyed
from streams.retry import RetrySchedule
from streams.table import Table
from streams.table_folding import FOLD_AT_ONCE, FOLDED_ONCE, Collected, Folding
from streams.takers import Takers, TakersByType
from streams.work_metrics import WorkMetrics
from streams.workload import Workload

LOOK_EVERY: Final = 32
"""After how many records it is looked whether the slice is over."""

SETTLE_EVERY: Final = 1_024
"""After how many events states are encoded: once for many events of a key, and before the events
have left the cache of the processor, which would have to fetch them again to forget them."""

More = Callable[[], Sequence[RawRecord]]
"""The records that have come since, to become part of the same work.

Nothing when there are none, or when the work has become large or old enough.
"""


def no_more() -> Sequence[RawRecord]:
    """For work that is whole from its begin."""
    return ()


class Process(Protocol):
    """Works on records of one partition, in order."""

    async def process(
        self, source: TopicPartition, records: Sequence[RawRecord], more: More = no_more
    ) -> None:
        """Return when all the work of these records is done, receipts included.

        Whoever writes once for many records asks for `more`, which are part of the work then. When
        it raises or is cancelled, all these records count as unfinished and are read again.
        """
        ...

    @property
    def pause(self) -> Pause | None:
        """What it waits for, when infrastructure is away."""
        ...


class _Work:
    """What the records of one call bring about."""

    __slots__ = ("batches", "collected", "receipts")

    def __init__(self) -> None:
        self.receipts: list[Receipt] = []
        self.collected: defaultdict[str, Collected] = defaultdict(Collected)
        self.batches: dict[BatchHandler, list[Delivered]] = {}


class AppProcessor:
    """Runs the handlers and projections of a subscription on its records."""

    def __init__(self, workload: Workload, edges: Edges, tables: Mapping[str, Table]) -> None:
        workload = layered(workload, edges)
        self._workload = workload
        self._edges = edges
        self._parking = edges.parking
        self._handling = Handling(workload.app, edges, in_order=workload.concurrency == 1)
        self._batch_handling = BatchHandling(self._handling, edges.attempts, self._parking)
        self._folding = Folding(workload.projections, edges, tables)
        self._takers = TakersByType(workload, edges.metrics)
        self._remembering = [it for it in workload.handlers if it.policies.remembers]

    @property
    def metrics(self) -> WorkMetrics:
        """What the subscription counts."""
        return self._edges.metrics

    @property
    def pause(self) -> Pause | None:
        """What the subscription waits for, when infrastructure is away."""
        return self._edges.attempts.pause

    async def process(
        self, source: TopicPartition, records: Sequence[RawRecord], more: More = no_more
    ) -> None:
        """See Process. Tables are changed after the handlers have run."""
        work = _Work()
        if self._workload.reactions:
            await self._react(source, records, more, work)
        else:
            while records:
                records = await self._fold_as_they_come(source, records, more, work)
        for receipt in work.receipts:
            await receipt

    async def redo(self, handler: str, record: RawRecord, receipts: list[Receipt]) -> Failed | None:
        """See Redo: one handler or projection, or all where the record could not be read."""
        await self._edges.pace.turn(record.topic, record.timestamp_ms)
        event = await self._read_closely(record)
        if isinstance(event, Failed):
            return event
        if handler == READ:
            if event is not None:
                await self._redo_all(record, event, receipts)
            return None
        if event is None:
            raise NoSuchHandler(f"{self._workload.group} takes no events like this for {handler!r}")
        return await self._redo_one(handler, record, event, receipts)

    def schedule_of(self, handler: str) -> RetrySchedule:
        """See Redo."""
        reactions = {known.name: known for known in self._workload.reactions}
        return reactions[handler].retry if handler in reactions else FOLDED_ONCE

    async def _redo_one(
        self, name: str, record: RawRecord, event: Event[Any], receipts: list[Receipt]
    ) -> Failed | None:
        workload = self._workload
        for handler in workload.handlers:
            if handler.name == name:
                return await self._handling.redo(handler, record, event, receipts)
        for batch_handler in workload.batch_handlers:
            if batch_handler.name == name:
                delivered = Delivered(record, event)
                return await self._batch_handling.redo(batch_handler, delivered, receipts)
        for projection in workload.projections:
            if projection.name == name:
                is_folded = (
                    projection.key is None or record.topic in self._takers.by_repartition_topic
                )
                if is_folded:
                    return await self._folding.redo(projection, record, event, receipts)
                return await self._rekey(projection, record, event, receipts, LATELY)
        raise NoSuchHandler(f"{workload.group} has no handler or projection {name!r}")

    async def _redo_all(
        self, record: RawRecord, event: Event[Any], receipts: list[Receipt]
    ) -> None:
        """A record that can be read now, to all who take it: each may fail for itself."""
        line = self._parking.line(record.source)
        for taker in self._takers.find(record.topic, event.type).all:
            failed = None
            if line.holds(taker.name, record):
                receipts += await self._parking.follow(taker.name, record)
            else:
                failed = await self._redo_one(taker.name, record, event, receipts)
            if failed is not None:
                receipts += await self._fail(taker.name, record, failed)

    async def _react(
        self, source: TopicPartition, records: Sequence[RawRecord], more: More, work: _Work
    ) -> None:
        while records:
            await self._deliver_all(source, records, work)
            records = more()
        for handler, batch in work.batches.items():
            await self._batch_handling.handle(handler, batch, work.receipts)
        await self._fold_collected(source, work)

    async def _fold_collected(self, source: TopicPartition, work: _Work) -> None:
        if work.collected:
            async with self._folding.held(source) as changes:
                await self._folding.fold(source, changes, work.collected, work.receipts)
                await self._folding.write(changes, work.receipts)

    async def _fold_as_they_come(
        self, source: TopicPartition, records: Sequence[RawRecord], more: More, work: _Work
    ) -> Sequence[RawRecord]:
        """Fold until nothing more comes, then write once for all.

        Returns the records that are left because somebody must be let go first.
        """
        await self._learn(records)
        unsettled = 0
        async with self._folding.held(source) as changes:
            while records:
                part, records = records[:FOLD_AT_ONCE], records[FOLD_AT_ONCE:]
                if not self._deliver_together(source, part, work):
                    await self._deliver_all(source, part, work)
                await self._folding.fold(source, changes, work.collected, work.receipts)
                work.collected.clear()
                unsettled += len(part)
                if unsettled >= SETTLE_EVERY:
                    await self._folding.settle(changes, work.receipts)
                    unsettled = 0
                records = records or more()
                if self._folding.is_wanted(source) or self._edges.reading.unknown(records):
                    break
            await self._folding.write(changes, work.receipts)
        return records

    async def _learn(self, records: Sequence[RawRecord]) -> None:
        """Look up schemas that are not known yet while nobody else waits for that.

        They are known from now on, or known to be unknown.
        """
        for record in self._edges.reading.unknown(records):
            await self._look_up(record)

    async def _look_up(self, record: RawRecord) -> None:
        async def attempt() -> None:
            await self._edges.reading.read(record)

        await self._edges.attempts.run(attempt, waiting_for="writer schemas")

    async def _read(self, record: RawRecord, work: _Work) -> Event[Any] | None:
        """Look closer at bytes or a schema not understood at once; park what cannot be read."""
        event = await self._read_closely(record)
        if isinstance(event, Failed):
            work.receipts += await self._fail(READ, record, event)
            return None
        return event

    async def _read_closely(self, record: RawRecord) -> Event[Any] | Failed | None:
        found: list[Event[Any] | Unreadable | None] = []

        async def attempt() -> None:
            found[:] = [await self._edges.reading.read(record)]

        failed = await self._edges.attempts.run_once(attempt, waiting_for="writer schemas")
        event = found[0] if failed is None else failed
        if isinstance(event, Unreadable):
            event = Failed(error=event.error, tries=1)
        if isinstance(event, Failed):
            self.metrics.failed(READ)
        return event

    async def _deliver_all(
        self, source: TopicPartition, records: Sequence[RawRecord], work: _Work
    ) -> None:
        begin = 0
        for end in range(LOOK_EVERY, len(records) + LOOK_EVERY, LOOK_EVERY):
            if begin and self._edges.pace.is_over():
                await self._edges.pace.turn(source.topic, records[begin].timestamp_ms)
            await self._deliver_some(source, records[begin:end], work)
            begin = end

    def _deliver_together(
        self, source: TopicPartition, records: Sequence[RawRecord], work: _Work
    ) -> bool:
        """Deliver records that bring plain events for projections alone; False for others."""
        if self._parking.line(source).blocked:
            return False
        events = self._edges.reading.view_all(records)
        if events is None:
            return False
        types: defaultdict[str, set[str]] = defaultdict(set)
        every = {event.type for event in events}
        found = {event_type: self._takers.find(source.topic, event_type) for event_type in every}
        if not all(takers.are_frequent for takers in found.values()):
            return False
        counts = Counter([it.type for it in events]) if len(every) > 1 else {}
        for event_type, takers in found.items():
            takers.tally.events += counts.get(event_type, len(events))
            for projection in takers.folded:
                types[projection.name].add(event_type)
        for name, wanted in types.items():
            collected = work.collected[name]
            if wanted == every:
                collected.take(records, events)
            else:
                for record, event in zip(records, events, strict=True):
                    if event.type in wanted:
                        collected.add(record, event)
        return True

    async def _deliver_some(
        self, source: TopicPartition, records: Sequence[RawRecord], work: _Work
    ) -> None:
        """To handlers one by one, to the rest at the end of the batch."""
        topic, line = source.topic, self._parking.line(source)
        takers_of, collected = self._takers.known(topic).get, work.collected
        viewed = self._edges.reading.view_each(records)
        # What waits may be done, and known, meanwhile; what was rekeyed is for projections.
        are_new = not line.blocked and topic not in self._takers.by_repartition_topic
        are_new = are_new and self._handling.are_new(self._remembering, records, viewed)
        is_copy = None if are_new else self._handling.is_copy
        # The first of them tells how long the handlers take that do not wait.
        straight: Begin = partial(self._handling.begin, is_copy)
        begin: Begin = partial(self._handling.begin_timed, straight, len(records))
        for record, found in zip(records, viewed.events, strict=True):
            event = found
            if line.blocked or event is UNREAD:
                event = await self._looked_at(line, record, found, work)
            if event is None:
                continue
            takers = takers_of(event.type) or self._takers.find(topic, event.type)
            takers.tally.events += 1
            for handler in takers.handlers:
                unfinished = begin(handler, record, event)
                if unfinished is not None:
                    work.receipts += await unfinished
            begin = straight
            for projection in takers.folded:
                collected[projection.name].add(record, event)
            if not takers.are_frequent:
                await self._deliver_to(takers, record, event, work)

    async def _looked_at(
        self, line: Line, record: RawRecord, viewed: Event[Any] | Unread | None, work: _Work
    ) -> Event[Any] | None:
        """What has to be looked at closer, or may have to wait; None when no more is to be done."""
        if line.blocked and line.holds(READ, record):
            work.receipts += await self._parking.follow(READ, record)
            return None
        event = await self._read(record, work) if viewed is UNREAD else viewed
        if event is None or not line.blocked:
            return event
        await self._deliver(line, record, event, work)
        return None

    async def _deliver(self, line: Line, record: RawRecord, event: Event[Any], work: _Work) -> None:
        """To all who take it; those who have something of its aggregate waiting keep it behind."""
        takers = self._takers.find(record.topic, event.type)
        takers.tally.events += 1
        for taker in takers.all:
            if line.holds(taker.name, record):
                work.receipts += await self._parking.follow(taker.name, record)
            elif isinstance(taker, Handler):
                unfinished = self._handling.begin(self._handling.is_copy, taker, record, event)
                if unfinished is not None:
                    work.receipts += await unfinished
            elif isinstance(taker, BatchHandler):
                work.batches.setdefault(taker, []).append(Delivered(record, event))
            elif taker in takers.folded:
                work.collected[taker.name].add(record, event)
            else:
                await self._send_on(taker, record, event, work.receipts)

    async def _deliver_to(
        self, takers: Takers, record: RawRecord, event: Event[Any], work: _Work
    ) -> None:
        for handler in takers.batch_handlers:
            work.batches.setdefault(handler, []).append(Delivered(record, event))
        for projection in takers.rekeyed:
            await self._send_on(projection, record, event, work.receipts)

    async def _send_on(
        self, projection: Projection, record: RawRecord, event: Event[Any], receipts: list[Receipt]
    ) -> None:
        failed = await self._rekey(projection, record, event, receipts)
        if failed is not None:
            receipts += await self._fail(projection.name, record, failed)

    async def _rekey(
        self,
        projection: Projection,
        record: RawRecord,
        event: Event[Any],
        receipts: list[Receipt],
        said: Headers = (),
    ) -> Failed | None:
        """Send the event on under the projection's key, with what is `said` beside."""
        key_of = projection.key
        assert key_of is not None, "only projections with a key of their own are rekeyed"
        forwarded: list[OutgoingRecord] = []

        async def attempt() -> None:
            forwarded[:] = [
                rekeyed(record, self._workload.app, projection.name, key_of(event), said)
            ]

        failed = await self._edges.attempts.run_once(
            attempt, waiting_for=f"projection {projection.name}"
        )
        if failed is None:
            receipts += [await self._edges.sender.send(outgoing) for outgoing in forwarded]
        else:
            self.metrics.failed(projection.name)
        return failed

    async def _fail(self, name: str, record: RawRecord, failed: Failed) -> list[Receipt]:
        return await self._parking.fail(name, record, failed, self.schedule_of(name))
