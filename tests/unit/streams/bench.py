"""A log in process and what works on it, for tests of the core."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.event import Event, EventFactory
from schemas.headers import event_headers
from streams.app import App
from streams.attempts import Attempts
from streams.edges import Edges
from streams.log import RecordSender
from streams.memory.fetcher import MemoryFetcher
from streams.memory.log import MemoryLog, MemorySender
from streams.memory.schemas import MemoryWriterSchemas
from streams.parking.lot import LotEdges, ParkingLot
from streams.parking.orders import Order, OrderKind
from streams.parking.redoing import Redoing
from streams.processor import AppProcessor
from streams.publisher import EventPublisher
from streams.reading import EventReading
from streams.records import RawRecord
from streams.retry import RetrySchedule
from streams.table import MemoryTable
from streams.turns import AtOnce, Pace

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@dataclass
class Bench:
    """A log in process, and processors over it that wait for nothing."""

    catalog: Catalog
    codec: Codec
    factory: EventFactory
    log: MemoryLog = field(default_factory=MemoryLog)
    slept: list[float] = field(default_factory=list)
    pace: Pace = field(default_factory=AtOnce)
    now: datetime = NOW
    lot: ParkingLot = field(init=False)
    redoing: Redoing = field(init=False)

    def publisher(self) -> EventPublisher:
        """A publisher into the log."""
        return EventPublisher(
            self.catalog,
            self.codec,
            MemorySender(self.log),
            MemoryWriterSchemas(self.log, self.codec),
        )

    def processor(
        self,
        app: App,
        tables: dict[str, MemoryTable] | None = None,
        sender: RecordSender | None = None,
    ) -> AppProcessor:
        """A processor of an app; its delays are noted in `slept`, not waited for."""
        schemas = MemoryWriterSchemas(self.log, self.codec, wait_s=0)
        sender = sender or MemorySender(self.log)
        self.lot = ParkingLot(
            app.name, app.workload().group, LotEdges(sender=sender, clock=lambda: self.now)
        )
        edges = Edges(
            publisher=self.publisher(),
            sender=sender,
            factory=self.factory,
            reading=EventReading(self.codec, schemas, app.workload().wants),
            attempts=Attempts(RetrySchedule(), self.sleep),
            clock=lambda: NOW,
            parking=self.lot,
            pace=self.pace,
        )
        processor = AppProcessor(app.workload(), edges, tables or {})
        self.redoing = Redoing(self.lot, processor, lambda: MemoryFetcher(self.log), self._fail)
        return processor

    async def redo(self) -> None:
        """Try what waits again and again, until all of it is done or parked."""
        self.lot.hasten()
        while await self.redoing.redo_due():
            self.lot.hasten()

    async def drop(self, letter: RawRecord) -> None:
        """Order that a parked event counts as done, and go on with what waits behind it."""
        letter_id = (letter.key or b"").decode()
        await self.order(Order(app="team", letter_id=letter_id, kind=OrderKind.DROP))

    async def order(self, order: Order) -> None:
        """Give an order, and do what can be done after it."""
        self.lot.order(order)
        await self.redoing.carry_out_orders()
        await self.redo()
        await self.redoing.carry_out_orders()

    def _fail(self, error: BaseException) -> None:
        raise error

    async def sleep(self, seconds: float) -> None:
        """Note a delay."""
        self.slept.append(seconds)

    def record(self, event: Event[Any], offset: int = 0, partition: int = 0) -> RawRecord:
        """An event as it stands in its topic."""
        return RawRecord(
            topic=event.topic,
            partition=partition,
            offset=offset,
            timestamp_ms=event.timestamp_ms,
            key=event.key.encode(),
            value=self.codec.encode(event),
            headers=event_headers(event),
        )
