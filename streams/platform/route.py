"""Route: which rooms an event is shown in, as records for the broadcast topics. Pure."""

from typing import Any

import orjson

from schemas.broadcast import broadcast_topic, browser_body, rooms
from schemas.catalog import EventType
from schemas.event import Event
from streams.platform.archive import copied_headers
from streams.records import OutgoingRecord, RawRecord


def routed(
    record: RawRecord, event: Event[Any], event_type: EventType
) -> tuple[OutgoingRecord, ...]:
    """One record per room, keyed by it, with what a browser may see. Raises TruncatedEvent."""
    targets = rooms(event, event_type)
    if not targets:
        return ()
    body = orjson.dumps(browser_body(event, event_type))
    headers = copied_headers(record, event.id, event.envelope)
    return tuple(
        OutgoingRecord(topic=broadcast_topic(room), key=room.encode(), value=body, headers=headers)
        for room in targets
    )
