"""From an event to a record that is on its way: encoded, announced, sent, journalled."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Protocol

import structlog

from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.errors import InvalidEventData
from schemas.event import Event
from schemas.framing import schema_id_of
from schemas.headers import event_headers
from streams.errors import AppendRequired, BatchInterrupted, JournalFailed, StreamsError
from streams.log import RecordSender
from streams.receipt import Acknowledgement, Receipt
from streams.records import OutgoingRecord
from streams.writer_schemas import WriterSchemas

log = structlog.get_logger(__name__)


class Journal(Protocol):
    """Told of every event that goes out, and of every acknowledgement."""

    def published(self, record: OutgoingRecord) -> None:
        """The event is about to be sent; when this raises, it is not sent (JournalFailed)."""
        ...

    def acknowledged(self, record: OutgoingRecord, acknowledgement: Acknowledgement) -> None:
        """Called before anybody who awaits the receipt.

        An event that it raises for is not acknowledged to anybody: its receipt raises
        JournalFailed.
        """
        ...


class NoJournal:
    """Keeps no journal."""

    def published(self, record: OutgoingRecord) -> None:
        """See Journal."""

    def acknowledged(self, record: OutgoingRecord, acknowledgement: Acknowledgement) -> None:
        """See Journal."""


NO_JOURNAL: Final = NoJournal()


def event_record(event: Event[Any], value: bytes) -> OutgoingRecord:
    """The record that carries an event with these bytes, published or appended alike."""
    return OutgoingRecord(
        topic=event.topic, key=event.key.encode(), value=value, headers=event_headers(event)
    )


class EventPublisher:
    """The one way in which published events reach `events.*`; appended ones are relayed.

    An event is encoded before anything is sent, so a bad one changes nothing; its writer schema is
    announced before its first event, so a consumer that is older than the producer can read it.
    """

    def __init__(
        self,
        catalog: Catalog,
        codec: Codec,
        sender: RecordSender,
        schemas: WriterSchemas,
        journal: Journal = NO_JOURNAL,
    ) -> None:
        self._catalog = catalog
        self._codec = codec
        self._sender = sender
        self._schemas = schemas
        self._journal = journal
        self._announced: set[int] = set()
        self._appended = {
            known.name: str(known.aggregate_type) for known in catalog.types() if known.appended
        }

    def encode(self, event: Event[Any]) -> OutgoingRecord:
        """The record of an event.

        Raises AppendRequired, UnknownEventType, InvalidEventData, EventTooLarge, and for personal
        data KeysMissing, SubjectForgotten or an InfrastructureError; sends nothing.
        """
        if event.type in self._appended:
            raise AppendRequired(event.type, self._appended[event.type])
        if event.aggregate is not None and event.aggregate.version is not None:
            raise InvalidEventData("aggregate.version", f"{event.type} is published: it has none")
        return event_record(event, self._codec.encode(event))

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
            except StreamsError as error:
                if not receipts:
                    raise
                not_sent = [event.id for event in events[len(receipts) :]]
                raise BatchInterrupted(receipts, not_sent) from error
        return receipts

    async def send(self, record: OutgoingRecord) -> Receipt:
        """Send the record of an event, as `encode` made it."""
        if record.value is not None and schema_id_of(record.value) not in self._announced:
            await self._announce(record.value)
        if self._journal is NO_JOURNAL:
            return await self._sender.send(record)
        with self._noting(record.topic):
            self._journal.published(record)
        receipt = await self._sender.send(record)
        return receipt.after(lambda acknowledgement: self._note(record, acknowledgement))

    def _note(self, record: OutgoingRecord, acknowledgement: Acknowledgement) -> None:
        with self._noting(str(acknowledgement)):
            self._journal.acknowledged(record, acknowledgement)

    @staticmethod
    @contextmanager
    def _noting(place: str) -> Iterator[None]:
        """Raise JournalFailed for what a journal raises inside."""
        try:
            yield
        except Exception as error:
            log.exception("event not journalled", place=place)
            raise JournalFailed(f"the event for {place} is in no journal: {error}") from error

    async def _announce(self, value: bytes) -> None:
        schema_id = schema_id_of(value)
        await self._schemas.announce(self._catalog.schema_ids()[schema_id])
        self._announced.add(schema_id)
