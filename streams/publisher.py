"""From an event to a record that is on its way: encoded, announced, sent, journalled."""

from collections.abc import Callable, Sequence
from typing import Any

import structlog

from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.event import Event
from schemas.framing import schema_id_of
from schemas.headers import event_headers
from streams.errors import BatchInterrupted, InfrastructureError, JournalFailed
from streams.log import RecordSender
from streams.receipt import Acknowledgement, Receipt
from streams.records import OutgoingRecord
from streams.writer_schemas import WriterSchemas

log = structlog.get_logger(__name__)

Journal = Callable[[OutgoingRecord, Acknowledgement], None]
"""Told of every acknowledged event before anybody who awaits its receipt.

An event that it raises for is not acknowledged to anybody: its receipt raises JournalFailed.
"""


def no_journal(record: OutgoingRecord, acknowledgement: Acknowledgement) -> None:
    """Keep no journal."""


class EventPublisher:
    """The one way in which events reach `events.*`.

    An event is encoded before anything is sent, so a bad one changes nothing; its writer schema is
    announced before its first event, so a consumer that is older than the producer can read it.
    """

    def __init__(
        self,
        catalog: Catalog,
        codec: Codec,
        sender: RecordSender,
        schemas: WriterSchemas,
        journal: Journal = no_journal,
    ) -> None:
        self._catalog = catalog
        self._codec = codec
        self._sender = sender
        self._schemas = schemas
        self._journal = journal
        self._announced: set[int] = set()

    def encode(self, event: Event[Any]) -> OutgoingRecord:
        """The record of an event.

        Raises UnknownEventType, InvalidEventData or EventTooLarge; sends nothing.
        """
        return OutgoingRecord(
            topic=event.topic,
            key=event.key.encode(),
            value=self._codec.encode(event),
            headers=event_headers(event),
        )

    async def publish(self, event: Event[Any]) -> Receipt:
        """Encode and send; see EventBus.publish."""
        return await self.send(self.encode(event))

    async def publish_batch(self, events: Sequence[Event[Any]]) -> list[Receipt]:
        """Encode all, then send all in order; see EventBus.publish_batch."""
        records = [self.encode(event) for event in events]
        receipts: list[Receipt] = []
        for record in records:
            try:
                receipts.append(await self.send(record))
            except InfrastructureError as error:
                if not receipts:
                    raise
                not_sent = [event.id for event in events[len(receipts) :]]
                raise BatchInterrupted(receipts, not_sent) from error
        return receipts

    async def send(self, record: OutgoingRecord) -> Receipt:
        """Send the record of an event, as `encode` made it."""
        await self._announce(record)
        receipt = await self._sender.send(record)
        return receipt.after(lambda acknowledgement: self._note(record, acknowledgement))

    def _note(self, record: OutgoingRecord, acknowledgement: Acknowledgement) -> None:
        try:
            self._journal(record, acknowledgement)
        except Exception as error:
            log.exception("event not journalled", position=str(acknowledgement))
            raise JournalFailed(
                f"the event at {acknowledgement} is in no journal: {error}"
            ) from error

    async def _announce(self, record: OutgoingRecord) -> None:
        if record.value is None:
            return
        schema_id = schema_id_of(record.value)
        if schema_id not in self._announced:
            await self._schemas.announce(self._catalog.schema_ids()[schema_id])
            self._announced.add(schema_id)
