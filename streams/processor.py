"""The inner call of every pump: `process(source, records)`.

The pump above may change, the meaning below does not.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from schemas.event import Event, EventFactory
from schemas.topics import repartition_topic
from streams.app import MAIN, App
from streams.attempts import Attempts, Failed, Pause
from streams.context import Context
from streams.dead_letter import Failure, dead_letter
from streams.emission import EMISSION, Emission
from streams.handler import Handler
from streams.log import RecordSender
from streams.projecting import TableBatch
from streams.projection import Projection
from streams.publisher import EventPublisher
from streams.reading import EventReading, Unreadable
from streams.receipt import Receipt
from streams.records import ORIGIN, Origin, OutgoingRecord, RawRecord, TopicPartition
from streams.table import Table


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
    """The ways out of a processor, passed in: bus, log, clock, tries."""

    publisher: EventPublisher
    sender: RecordSender
    factory: EventFactory
    reading: EventReading
    attempts: Attempts
    clock: Callable[[], datetime]


class _Folding(NamedTuple):
    """An event that belongs into a table."""

    projection: Projection
    record: RawRecord
    event: Event[Any]


class AppProcessor:
    """Runs an app's handlers and projections on the records of a subscription."""

    def __init__(
        self, app: App, edges: Edges, tables: Mapping[str, Table], *, subscription: str = MAIN
    ) -> None:
        self._app = app
        self._group = app.group(subscription)
        self._edges = edges
        self._tables = tables
        self._changing: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._by_repartition_topic = {
            repartition_topic(app.name, known.name): known
            for known in app.projections
            if known.key is not None
        }

    @property
    def pause(self) -> Pause | None:
        """What the subscription waits for, when infrastructure is away."""
        return self._edges.attempts.pause

    async def process(self, source: TopicPartition, records: Sequence[RawRecord]) -> None:
        """See Process. Tables are changed after the handlers have run."""
        receipts: list[Receipt] = []
        foldings: list[_Folding] = []
        for record in records:
            receipts += await self._process_record(record, foldings)
        if foldings:
            receipts += await self._change_tables(source.partition, foldings)
        for receipt in receipts:
            await receipt

    async def _change_tables(self, partition: int, foldings: Sequence[_Folding]) -> list[Receipt]:
        """Fold the events; visible only after the changelog records are acknowledged.

        Events of one entry may stand in several topics, so in several lanes: from reading the
        entry to storing it only one of them works on the tables of a partition.
        """
        receipts: list[Receipt] = []
        async with self._changing[partition]:
            changes = TableBatch(self._tables, partition)
            for folding in foldings:
                receipts += await self._fold(folding, changes)
            written = [await self._edges.sender.send(change) for change in changes.changelog()]
            for receipt in written:
                await receipt
            changes.store()
        return receipts

    async def _process_record(self, record: RawRecord, foldings: list[_Folding]) -> list[Receipt]:
        reading = _Read()
        failed = await self._edges.attempts.run(
            lambda: reading.fill(self._edges.reading, record), waiting_for="writer schemas"
        )
        if failed is not None:
            return [await self._bury(record, failed, "read")]
        event = reading.result
        if event is None:
            return []
        if isinstance(event, Unreadable):
            return [await self._bury(record, Failed(error=event.error, tries=1), "read")]
        projection = self._by_repartition_topic.get(record.topic)
        if projection is not None:
            if projection.wants(event.type):
                foldings.append(_Folding(projection, record, event))
            return []
        receipts: list[Receipt] = []
        for handler in self._app.handlers:
            receipts += await self._handle(handler, record, event)
        for projection in self._app.projections:
            if projection.wants(event.type):
                receipts += await self._project(projection, record, event, foldings)
        return receipts

    async def _handle(
        self, handler: Handler, record: RawRecord, event: Event[Any]
    ) -> list[Receipt]:
        """Run one handler; what it emitted is sent only when it has returned."""
        if not handler.wants(event.type):
            return []
        emitted: list[OutgoingRecord] = []

        async def attempt() -> None:
            emitted.clear()
            if not handler.can_handle(event):
                return
            context = Context(
                cause=event, app=self._app.name, handler=handler.name, factory=self._edges.factory
            )
            await handler.function(event, context)
            for ordinal, new in enumerate(context.finish()):
                place = Emission(self._app.name, handler.name, _place(record), ordinal)
                encoded = self._edges.publisher.encode(new)
                headers = (*encoded.headers, (EMISSION, place.encode()))
                emitted.append(replace(encoded, headers=headers))

        failed = await self._edges.attempts.run(attempt, waiting_for=f"handler {handler.name}")
        if failed is not None:
            return [await self._bury(record, failed, handler.name)]
        return [await self._edges.publisher.send(out) for out in emitted]

    async def _project(
        self,
        projection: Projection,
        record: RawRecord,
        event: Event[Any],
        foldings: list[_Folding],
    ) -> list[Receipt]:
        """Fold the event later where it is keyed already, else send it on under its key."""
        key_of = projection.key
        if key_of is None:
            foldings.append(_Folding(projection, record, event))
            return []
        forwarded: list[OutgoingRecord] = []

        async def attempt() -> None:
            forwarded[:] = [_rekeyed(record, self._app.name, projection.name, key_of(event))]

        failed = await self._edges.attempts.run(
            attempt, waiting_for=f"projection {projection.name}"
        )
        if failed is not None:
            return [await self._bury(record, failed, projection.name)]
        return [await self._edges.sender.send(out) for out in forwarded]

    async def _fold(self, folding: _Folding, changes: TableBatch) -> list[Receipt]:
        projection, record, event = folding

        async def attempt() -> None:
            place = record.header(EMISSION)
            changes.apply(
                projection,
                (record.key or b"").decode(),
                event,
                record.origin,
                None if place is None else Emission.decode(place),
            )

        failed = await self._edges.attempts.run(
            attempt, waiting_for=f"projection {projection.name}"
        )
        if failed is not None:
            return [await self._bury(record, failed, projection.name)]
        return []

    async def _bury(self, record: RawRecord, failed: Failed, handler: str) -> Receipt:
        return await self._edges.sender.send(
            dead_letter(
                record,
                Failure(
                    app=self._app.name,
                    group=self._group,
                    handler=handler,
                    error=failed.error,
                    tries=failed.tries,
                ),
                self._edges.clock(),
            )
        )


@dataclass(slots=True)
class _Read:
    """Where a reading leaves its result."""

    result: Event[Any] | Unreadable | None = None

    async def fill(self, reading: EventReading, record: RawRecord) -> None:
        self.result = await reading.read(record)


def _place(record: RawRecord) -> Origin:
    """Where it was read, which is what is in order; not where it first stood."""
    return Origin(record.topic, record.partition, record.offset)


def _rekeyed(record: RawRecord, app: str, projection: str, key: str) -> OutgoingRecord:
    return OutgoingRecord(
        topic=repartition_topic(app, projection),
        key=key.encode(),
        value=record.value,
        headers=(*record.headers, (ORIGIN, record.origin.encode())),
    )
