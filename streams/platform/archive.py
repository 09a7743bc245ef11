"""Archive: every event goes to `store.events` as the bytes it came in. Pure; nothing is decoded."""

from schemas.envelope import Envelope
from schemas.headers import CE_ID, CE_TYPE
from schemas.topics import STORE_EVENTS
from streams.records import ORIGIN, Headers, OutgoingRecord, RawRecord


def event_id(record: RawRecord, envelope: Envelope | None) -> str | None:
    """The id of the event in a record: from its header, else its envelope; None without either.

    The header comes first: a redelivery finds the same id whether or not the schema was known.
    """
    header = record.header(CE_ID)
    if header is not None:
        return header.decode(errors="replace")
    return None if envelope is None else envelope.id


def archived(record: RawRecord, event_id: str, envelope: Envelope | None) -> OutgoingRecord:
    """The record for the event store, keyed by event id: compaction drops redeliveries only.

    It keeps the source's partition: the events of an aggregate stay together and in order.
    """
    return OutgoingRecord(
        topic=STORE_EVENTS,
        key=event_id.encode(),
        value=record.value,
        headers=copied_headers(record, event_id, envelope),
        partition=record.partition,
    )


def copied_headers(record: RawRecord, event_id: str, envelope: Envelope | None) -> Headers:
    """The headers of a copy: the record's own, its origin, and what its producer left out."""
    headers = tuple((name, value) for name, value in record.headers if name != ORIGIN)
    if record.header(CE_ID) is None:
        headers += ((CE_ID, event_id.encode()),)
    if record.header(CE_TYPE) is None and envelope is not None:
        headers += ((CE_TYPE, envelope.type.encode()),)
    return (*headers, (ORIGIN, record.origin.encode()))
