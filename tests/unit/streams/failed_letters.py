"""Letters as handlers of a team would have left them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from streams.memory.log import MemoryLog
from streams.parking.letter import Letter, LetterState
from streams.records import OutgoingRecord, RawRecord

APP = "team"
TOPIC = "events.domain.low"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def record(offset: int, key: str | None = "Order/o1", **fields: Any) -> RawRecord:
    """A record of partition 2, whose event is called as its offset is."""
    event_type = fields.pop("event_type", "order.placed")
    headers = (("ce_id", f"event-{offset}".encode()), ("ce_type", event_type.encode()))
    whole: dict[str, Any] = {
        "topic": TOPIC,
        "partition": 2,
        "timestamp_ms": 7,
        "value": b"bytes",
    } | fields
    return RawRecord(
        offset=offset, key=None if key is None else key.encode(), headers=headers, **whole
    )


def letter(offset: int, state: LetterState = LetterState.PARKED, **fields: Any) -> Letter:
    """A letter of `team.main/notify` that failed `offset` seconds after NOW."""
    said: dict[str, Any] = {
        "app": APP,
        "group": f"{fields.get('app', APP)}.main",
        "handler": "notify",
        "record": fields.pop("record", None) or record(offset),
        "state": state,
    }
    if state is not LetterState.BEHIND:
        said |= {
            "tries": 3,
            "reason": "ValueError",
            "last_error": "ValueError: no",
            "failed_at": NOW + timedelta(seconds=offset),
        }
    if state is LetterState.WAITING:
        said["due_at"] = NOW + timedelta(seconds=offset + 60)
    return Letter(**said | fields)


def write(log: MemoryLog, *written: Letter | OutgoingRecord) -> None:
    """Write letters and other records, in this order."""
    for one in written:
        log.append(one.encode() if isinstance(one, Letter) else one)
