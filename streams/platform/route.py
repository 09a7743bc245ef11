"""Route: which rooms an event is shown in, as records for the broadcast topics. Pure."""

from typing import Any

import orjson

from schemas.broadcast import broadcast_topic, browser_body, rooms
from schemas.catalog import EventType
from schemas.envelope import Priority
from schemas.event import Event
from schemas.headers import AGGREGATE, COMPRESSIBLE
from streams.platform.archive import copied_headers
from streams.records import Headers, OutgoingRecord, RawRecord


def routed(
    record: RawRecord, event: Event[Any], event_type: EventType
) -> tuple[OutgoingRecord, ...]:
    """One record per room, keyed by it, with what a browser may see. Raises TruncatedEvent."""
    targets = rooms(event, event_type)
    if not targets:
        return ()
    body = orjson.dumps(browser_body(event, event_type))
    copied = copied_headers(record, event.id, event.envelope)
    headers = tuple(header for header in copied if header[0] not in (AGGREGATE, COMPRESSIBLE))
    headers += _compression(event, event_type)
    return tuple(
        OutgoingRecord(topic=broadcast_topic(room), key=room.encode(), value=body, headers=headers)
        for room in targets
    )


def _compression(event: Event[Any], event_type: EventType) -> Headers:
    """Which frames a gateway may leave out for a browser that lags."""
    aggregate = event.aggregate
    headers: Headers = ((AGGREGATE, event.key.encode() if aggregate else b""),)
    counts = (
        aggregate is None
        or aggregate.version is not None
        or event.priority is Priority.CRITICAL
        or event_type.broadcast is None
        or not event_type.broadcast.compressible
    )
    return headers if counts else (*headers, (COMPRESSIBLE, b"1"))
