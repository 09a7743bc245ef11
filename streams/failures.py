"""What `retry.<app>` and `dlq.<app>` say of an event that a handler could not take. Pure.

Where a record's key is an address (`group/handler/topic/partition/offset`), the last record of a
key is what is true, and one without a value ends it; other keys stand for themselves alone.
"""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from schemas.headers import CE_ID, CE_TYPE
from schemas.topics import dead_letter_topic, retry_topic
from streams.parking.letter import (
    DEAD_LETTERED_AT,
    DUE_AT,
    HANDLER,
    LAST_ERROR,
    REASON,
    RETRY_COUNT,
    SUBSCRIPTION,
)
from streams.records import Origin, RawRecord

DEAD_LETTERS: Final = dead_letter_topic("")
RETRIES: Final = retry_topic("")
KEY_PARTS: Final = 5
"""Group, handler, topic, partition, offset."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedEvent:
    """An event that waits for another try, or is parked. `at_ms`: when that was decided.

    `due_at_ms`: when it is tried again; None for one that is parked, or waits behind another one.
    """

    app: str
    is_parked: bool
    group: str
    handler: str
    tries: int
    reason: str
    error: str
    at_ms: int
    origin: Origin
    event_id: str | None
    event_type: str | None
    due_at_ms: int | None = None


def is_failure_topic(topic: str) -> bool:
    """Whether failed events are kept there."""
    return topic.startswith((DEAD_LETTERS, RETRIES))


def read_failure(record: RawRecord) -> FailedEvent | None:
    """What a record says; None for one that ends another."""
    if record.value is None:
        return None
    is_parked = record.topic.startswith(DEAD_LETTERS)
    return FailedEvent(
        app=record.topic.removeprefix(DEAD_LETTERS if is_parked else RETRIES),
        is_parked=is_parked,
        group=_text(record, SUBSCRIPTION),
        handler=_text(record, HANDLER),
        tries=_number(_text(record, RETRY_COUNT)),
        reason=_text(record, REASON),
        error=_text(record, LAST_ERROR),
        at_ms=_milliseconds(_text(record, DEAD_LETTERED_AT), record.timestamp_ms),
        origin=record.origin,
        event_id=_text(record, CE_ID) or None,
        event_type=_text(record, CE_TYPE) or None,
        due_at_ms=None if is_parked else _due_at(record),
    )


def ended_address(record: RawRecord) -> tuple[str, str, Origin] | None:
    """Group, handler and place of the event whose failure a record without a value ends."""
    if record.value is not None or record.key is None:
        return None
    parts = record.key.decode(errors="replace").rsplit("/", 3)
    group, _, handler = parts[0].partition("/")
    with suppress(ValueError):
        _, topic, partition, offset = parts
        return group, handler, Origin(topic, int(partition), int(offset))
    return None


def standing(records: Iterable[RawRecord]) -> list[FailedEvent]:
    """The failures that are not over, of records in the order of their partitions."""
    last: dict[tuple[str, bytes], FailedEvent] = {}
    for record in records:
        key = record.key or b""
        is_address = key.count(b"/") >= KEY_PARTS - 1
        place = f"{record.partition}/{record.offset}".encode()
        own = (record.topic, key if is_address else place)
        failure = read_failure(record)
        if failure is None:
            last.pop(own, None)
        else:
            last[own] = failure
    return list(last.values())


def _text(record: RawRecord, header: str) -> str:
    return (record.header(header) or b"").decode(errors="replace")


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0


def _due_at(record: RawRecord) -> int | None:
    with suppress(ValueError):
        return int(_text(record, DUE_AT))
    return None


def _milliseconds(moment: str, otherwise: int) -> int:
    with suppress(ValueError):
        return round(datetime.fromisoformat(moment).timestamp() * 1_000)
    return otherwise
