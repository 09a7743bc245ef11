"""What the platform does with every record of `events.*`: archive it, then route it.

A batch is archived whole before any of it is routed: waiting for a schema delays no archive.
"""

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Final, TypeVar

from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.errors import UnknownEventType, UnknownSchemaId
from schemas.event import Event
from streams.attempts import Attempts, Failed, Pause
from streams.errors import NoSuchHandler
from streams.log import RecordSender
from streams.parking.lot import ParkingLot
from streams.platform.archive import archived, event_id
from streams.platform.route import routed
from streams.processor import More, no_more
from streams.reading import KNOWN_TYPES, view_resolved
from streams.receipt import Receipt
from streams.records import LATE, OutgoingRecord, RawRecord, TopicPartition
from streams.retry import RetrySchedule
from streams.work_metrics import Tally, WorkMetrics
from streams.writer_schemas import WriterSchemas

PLATFORM_APP: Final = "wundr"
PLATFORM_SUBSCRIPTION: Final = "platform"
PLATFORM_GROUP: Final = f"{PLATFORM_APP}.{PLATFORM_SUBSCRIPTION}"

ResultT = TypeVar("ResultT")

ARCHIVE: Final = "archive"
ROUTE: Final = "route"

PARKED_AT_ONCE: Final = RetrySchedule(tries=1)
"""What these two fail for has had its tries in its place, and waits for an order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformEdges:
    """The ways out of the platform processor, passed in."""

    catalog: Catalog
    codec: Codec
    schemas: WriterSchemas
    sender: RecordSender
    attempts: Attempts
    parking: ParkingLot
    metrics: WorkMetrics = field(default_factory=WorkMetrics)


class PlatformProcessor:
    """Implements Process. An event of an unknown type is archived and shown to no browser."""

    def __init__(self, edges: PlatformEdges) -> None:
        self._edges = edges
        self._tallies: dict[str, Tally] = {}

    @property
    def pause(self) -> Pause | None:
        """What it waits for, when infrastructure is away."""
        return self._edges.attempts.pause

    async def process(
        self, source: TopicPartition, records: Sequence[RawRecord], more: More = no_more
    ) -> None:
        """See Process."""
        receipts: list[Receipt] = []
        routable: list[RawRecord] = []
        while records:
            began = perf_counter()
            for record in records:
                failed = await self._archive(record, receipts)
                if failed is None:
                    routable.append(record)
                else:
                    receipts += await self._edges.parking.park_alone(ARCHIVE, record, failed)
            self._ran(ARCHIVE, began, len(records))
            records = more()
        began = perf_counter()
        for record in routable:
            await self._route_or_park(record, receipts)
        self._ran(ROUTE, began, len(routable))
        for receipt in receipts:
            await receipt

    async def redo(self, handler: str, record: RawRecord, receipts: list[Receipt]) -> Failed | None:
        """See Redo."""
        if handler == ROUTE:
            return await self._timed(ROUTE, self._route(record, receipts))
        if handler != ARCHIVE:
            raise NoSuchHandler(f"the platform has no {handler!r}")
        late = record._replace(headers=(*record.headers, (LATE, b"")))
        failed = await self._timed(ARCHIVE, self._archive(late, receipts))
        if failed is None:
            await self._timed(ROUTE, self._route_or_park(record, receipts))
        return failed

    def schedule_of(self, handler: str) -> RetrySchedule:
        """See Redo."""
        return PARKED_AT_ONCE

    async def _route_or_park(self, record: RawRecord, receipts: list[Receipt]) -> None:
        failed = await self._route(record, receipts)
        if failed is not None:
            receipts += await self._edges.parking.park_alone(ROUTE, record, failed)

    async def _archive(self, record: RawRecord, receipts: list[Receipt]) -> Failed | None:
        """Send the archive record, unless these bytes are no event of ours."""
        archiving: list[OutgoingRecord] = []

        async def attempt() -> None:
            try:
                envelope = self._edges.codec.view(record.value or b"").envelope
            except UnknownSchemaId:
                named = event_id(record, None)
                if named is not None:
                    archiving[:] = [archived(record, named, None)]
                    return
                envelope = (await self._view(record.value or b"")).envelope
            archiving[:] = [archived(record, event_id(record, envelope) or envelope.id, envelope)]

        failed = await self._edges.attempts.run(attempt, waiting_for=ARCHIVE)
        if failed is None:
            receipts.append(await self._edges.sender.send(archiving[0]))
        else:
            self._edges.metrics.failed(ARCHIVE)
        return failed

    async def _route(self, record: RawRecord, receipts: list[Receipt]) -> Failed | None:
        """Send the event to its rooms."""
        outgoing: list[OutgoingRecord] = []

        async def attempt() -> None:
            event = await self._view(record.value or b"")
            self._count(event.type)
            try:
                event_type = self._edges.catalog.get(event.type)
            except UnknownEventType:
                return
            outgoing[:] = routed(record, event, event_type)

        failed = await self._edges.attempts.run(attempt, waiting_for=ROUTE)
        if failed is None:
            receipts += [await self._edges.sender.send(out) for out in outgoing]
        else:
            self._edges.metrics.failed(ROUTE)
        return failed

    async def _timed(self, handler: str, work: Awaitable[ResultT]) -> ResultT:
        """A piece of work on one event."""
        began = perf_counter()
        try:
            return await work
        finally:
            self._ran(handler, began, 1)

    def _ran(self, handler: str, began: float, events: int) -> None:
        if events:
            self._edges.metrics.ran(handler, (perf_counter() - began) / events, events)

    def _count(self, event_type: str) -> None:
        tally = self._tallies.get(event_type)
        if tally is None:
            tally = self._edges.metrics.tally(event_type, (ROUTE,))
            if len(self._tallies) < KNOWN_TYPES:
                self._tallies[event_type] = tally
        tally.events += 1

    async def _view(self, value: bytes) -> Event[Any]:
        """View once the schema is known."""
        return await view_resolved(self._edges.codec, self._edges.schemas, value)
