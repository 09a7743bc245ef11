"""What the platform does with every record of `events.*`: archive it, then route it.

A batch is archived whole before any of it is routed: waiting for a schema delays no archive.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from time import perf_counter
from typing import Any, Final

from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.errors import UnknownEventType, UnknownSchemaId
from schemas.event import Event
from schemas.topics import STORE_EVENTS
from streams.attempts import Attempts, Pause
from streams.burial import Burial
from streams.log import RecordSender
from streams.platform.archive import archived, event_id
from streams.platform.route import routed
from streams.processor import More, no_more
from streams.reading import KNOWN_TYPES, view_resolved
from streams.receipt import Receipt
from streams.records import OutgoingRecord, RawRecord, TopicPartition
from streams.work_metrics import Tally, WorkMetrics
from streams.writer_schemas import WriterSchemas

PLATFORM_APP: Final = "wundr"
PLATFORM_SUBSCRIPTION: Final = "platform"
PLATFORM_GROUP: Final = f"{PLATFORM_APP}.{PLATFORM_SUBSCRIPTION}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformEdges:
    """The ways out of the platform processor, passed in."""

    catalog: Catalog
    codec: Codec
    schemas: WriterSchemas
    sender: RecordSender
    attempts: Attempts
    clock: Callable[[], datetime]
    metrics: WorkMetrics = field(default_factory=WorkMetrics)


class PlatformProcessor:
    """Implements Process. An event of an unknown type is archived and shown to no browser."""

    def __init__(self, edges: PlatformEdges) -> None:
        self._edges = edges
        self._burial = Burial(
            app=PLATFORM_APP,
            group=PLATFORM_GROUP,
            sender=edges.sender,
            clock=edges.clock,
            metrics=edges.metrics,
        )
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
                archiving = await self._archive(record)
                receipts.append(await self._edges.sender.send(archiving))
                if archiving.topic == STORE_EVENTS:
                    routable.append(record)
            self._ran("archive", began, len(records))
            records = more()
        began = perf_counter()
        for record in routable:
            receipts += await self._route(record)
        self._ran("route", began, len(routable))
        for receipt in receipts:
            await receipt

    async def _archive(self, record: RawRecord) -> OutgoingRecord:
        """The archive record; a dead letter when these bytes are no event of ours."""
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

        failed = await self._edges.attempts.run(attempt, waiting_for="archive")
        return archiving[0] if failed is None else self._burial.letter(record, failed, "archive")

    async def _route(self, record: RawRecord) -> list[Receipt]:
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

        failed = await self._edges.attempts.run(attempt, waiting_for="route")
        if failed is not None:
            return [await self._burial.bury(record, failed, "route")]
        return [await self._edges.sender.send(out) for out in outgoing]

    def _ran(self, handler: str, began: float, events: int) -> None:
        if events:
            self._edges.metrics.ran(handler, (perf_counter() - began) / events, events)

    def _count(self, event_type: str) -> None:
        tally = self._tallies.get(event_type)
        if tally is None:
            tally = self._edges.metrics.tally(event_type, ("route",))
            if len(self._tallies) < KNOWN_TYPES:
                self._tallies[event_type] = tally
        tally.events += 1

    async def _view(self, value: bytes) -> Event[Any]:
        """View once the schema is known."""
        return await view_resolved(self._edges.codec, self._edges.schemas, value)
