"""The inner call of every pump: `process(source, records)`.

The pump above may change, the meaning below does not.
"""

from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple, Protocol

from schemas.errors import SchemaError
from schemas.event import Event
from schemas.topics import repartition_topic
from streams.attempts import Failed, Pause
from streams.batch_handling import BatchHandling, Delivered
from streams.burial import Burial
from streams.edges import Edges
from streams.handler import BatchHandler, Handler, Reaction
from streams.handling import Handling
from streams.projection import Projection
from streams.reading import KNOWN_TYPES, Unreadable
from streams.receipt import Receipt
from streams.records import ORIGIN, OutgoingRecord, RawRecord, TopicPartition
from streams.table import Table
from streams.table_folding import FOLD_AT_ONCE, Collected, Folding
from streams.work_metrics import Tally, WorkMetrics
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


Begin = Callable[[Handler, RawRecord, Event[Any]], Awaitable[list[Receipt]] | None]


class _Takers(NamedTuple):
    """Who takes events of one type from one topic."""

    tally: Tally
    handlers: tuple[Handler, ...]
    batch_handlers: tuple[BatchHandler, ...]
    folded: tuple[Projection, ...]
    rekeyed: tuple[Projection, ...]
    are_frequent: bool
    """Whether none but handlers and folds is among them."""


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
        self._workload = workload
        self._edges = edges
        self._burial = Burial(
            app=workload.app,
            group=workload.group,
            sender=edges.sender,
            clock=edges.clock,
            metrics=edges.metrics,
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
        self._folding = Folding(workload.projections, edges, tables, self._burial)
        self._by_repartition_topic = {
            repartition_topic(workload.app, known.name): known
            for known in workload.projections
            if known.key is not None
        }
        self._takers: defaultdict[str, dict[str, _Takers]] = defaultdict(dict)

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

    async def _react(
        self, source: TopicPartition, records: Sequence[RawRecord], more: More, work: _Work
    ) -> None:
        while records:
            await self._deliver_all(source, records, work)
            records = more()
        for handler, batch in work.batches.items():
            await self._batch_handling.handle(handler, batch, work.receipts)
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

    def _deliver_together(
        self, source: TopicPartition, records: Sequence[RawRecord], work: _Work
    ) -> bool:
        """Deliver records that bring plain events for projections alone; False for others."""
        events = self._edges.reading.view_all(records)
        if events is None:
            return False
        types: defaultdict[str, set[str]] = defaultdict(set)
        every = {event.type for event in events}
        known = self._takers[source.topic]
        takers_by_type = {
            event_type: known.get(event_type) or self._takers_of(source.topic, event_type)
            for event_type in every
        }
        if not all(takers.are_frequent for takers in takers_by_type.values()):
            return False
        counts = Counter([it.type for it in events]) if len(every) > 1 else {}
        for event_type, takers in takers_by_type.items():
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

    async def _deliver_some(self, records: Sequence[RawRecord], work: _Work) -> None:
        """To handlers one by one, to the rest at the end of the batch."""
        topic = records[0].topic
        view, takers_of = self._edges.reading.view, self._takers[topic].get
        collected = work.collected
        # The first of them tells how long the handlers take that do not wait.
        straight: Begin = self._handling.begin
        begin: Begin = partial(self._handling.begin_timed, len(records))
        for record in records:
            try:
                event = view(record)
            except SchemaError:
                event = await self._read(record, work)
            if event is None:
                continue
            takers = takers_of(event.type) or self._takers_of(topic, event.type)
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
            folded: tuple[Projection, ...] = (own,) if own.wants(event_type) else ()
            tally = self._tally(event_type, folded, is_copied=True)
            takers = _Takers(tally, (), (), folded, (), are_frequent=True)
        else:
            wanting = [known for known in workload.projections if known.wants(event_type)]
            batch_handlers = tuple(
                known for known in workload.batch_handlers if known.wants(event_type)
            )
            rekeyed = tuple(known for known in wanting if known.key is not None)
            handlers = tuple(known for known in workload.handlers if known.wants(event_type))
            folded = tuple(known for known in wanting if known.key is None)
            takers = _Takers(
                self._tally(event_type, (*handlers, *batch_handlers, *folded)),
                handlers,
                batch_handlers,
                folded,
                rekeyed,
                are_frequent=not (batch_handlers or rekeyed),
            )
        known_takers = self._takers[topic]
        if len(known_takers) < KNOWN_TYPES:
            known_takers[event_type] = takers
        return takers

    def _tally(
        self, event_type: str, takers: Sequence[Reaction | Projection], *, is_copied: bool = False
    ) -> Tally:
        return self._edges.metrics.tally(
            event_type, [taker.name for taker in takers], is_copied=is_copied
        )

    async def _rekey(
        self, projection: Projection, record: RawRecord, event: Event[Any], work: _Work
    ) -> None:
        """Send the event on under the projection's key."""
        key_of = projection.key
        assert key_of is not None, "only projections with a key of their own are rekeyed"
        forwarded: list[OutgoingRecord] = []

        async def attempt() -> None:
            forwarded[:] = [_rekeyed(record, self._workload.app, projection.name, key_of(event))]

        failed = await self._edges.attempts.run_once(
            attempt, waiting_for=f"projection {projection.name}"
        )
        if failed is not None:
            await self._bury(record, failed, projection.name, work)
        for outgoing in forwarded:
            work.receipts.append(await self._edges.sender.send(outgoing))

    async def _bury(self, record: RawRecord, failed: Failed, name: str, work: _Work) -> None:
        self.metrics.failed(name)
        work.receipts.append(await self._burial.bury(record, failed, name))


def _rekeyed(record: RawRecord, app: str, projection: str, key: str) -> OutgoingRecord:
    return OutgoingRecord(
        topic=repartition_topic(app, projection),
        key=key.encode(),
        value=record.value,
        headers=(*record.headers, (ORIGIN, record.origin.encode())),
    )
