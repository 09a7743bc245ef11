"""The inner call of every pump: `process(source, records)`.

The pump above may change, the meaning below does not.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from schemas.event import Event, EventFactory
from schemas.topics import repartition_topic
from streams.app import MAIN, App
from streams.attempts import Attempts, Failed, Pause
from streams.context import Context
from streams.dead_letter import Failure, dead_letter
from streams.handler import Handler
from streams.log import RecordSender
from streams.projecting import TableBatch
from streams.projection import Projection
from streams.publisher import EventPublisher
from streams.reading import EventReading, Unreadable
from streams.receipt import Receipt
from streams.records import ORIGIN, OutgoingRecord, RawRecord, TopicPartition
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


class AppProcessor:
    """Runs an app's handlers and projections on the records of a subscription."""

    def __init__(
        self, app: App, edges: Edges, tables: Mapping[str, Table], *, subscription: str = MAIN
    ) -> None:
        self._app = app
        self._group = app.group(subscription)
        self._edges = edges
        self._tables = tables
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
        """See Process.

        Tables change visibly only after their changelog records are acknowledged.
        """
        changes = TableBatch(self._tables, source.partition)
        receipts: list[Receipt] = []
        for record in records:
            receipts += await self._process_record(record, changes)
        receipts += [await self._edges.sender.send(change) for change in changes.changelog()]
        for receipt in receipts:
            await receipt
        changes.store()

    async def _process_record(self, record: RawRecord, changes: TableBatch) -> list[Receipt]:
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
            return await self._project(projection, record, event, changes)
        receipts: list[Receipt] = []
        for handler in self._app.handlers:
            receipts += await self._handle(handler, record, event)
        for projection in self._app.projections:
            receipts += await self._project(projection, record, event, changes)
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
            emitted.extend(self._edges.publisher.encode(new) for new in context.emitted)

        failed = await self._edges.attempts.run(attempt, waiting_for=f"handler {handler.name}")
        if failed is not None:
            return [await self._bury(record, failed, handler.name)]
        return [await self._edges.publisher.send(out) for out in emitted]

    async def _project(
        self, projection: Projection, record: RawRecord, event: Event[Any], changes: TableBatch
    ) -> list[Receipt]:
        """Fold the event where it is keyed already, else send it on under the projection's key."""
        if not projection.wants(event.type):
            return []
        forwarded: list[OutgoingRecord] = []
        is_keyed = projection.key is None or record.topic in self._by_repartition_topic

        async def attempt() -> None:
            if is_keyed:
                changes.apply(projection, (record.key or b"").decode(), event, record.origin)
            elif projection.key is not None:
                forwarded[:] = [
                    _rekeyed(record, self._app.name, projection.name, projection.key(event))
                ]

        failed = await self._edges.attempts.run(
            attempt, waiting_for=f"projection {projection.name}"
        )
        if failed is not None:
            return [await self._bury(record, failed, projection.name)]
        return [await self._edges.sender.send(out) for out in forwarded]

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


def _rekeyed(record: RawRecord, app: str, projection: str, key: str) -> OutgoingRecord:
    return OutgoingRecord(
        topic=repartition_topic(app, projection),
        key=key.encode(),
        value=record.value,
        headers=(*record.headers, (ORIGIN, record.origin.encode())),
    )
