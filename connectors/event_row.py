"""From an event to its row: columns from the envelope, the bytes as they were, JSON where JSON can.

Pure. A row never fails because of its data: data that JSON cannot hold is null, the bytes hold it.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

from connectors.errors import Unstorable
from schemas.event import Event
from schemas.framing import schema_id_of
from streams.appending import COMMAND_ID, LONGEST_COMMAND_ID_BYTES, command_id_of

_NUL: Final = "\x00"
LONGEST_KEY_BYTES: Final = 1_000
"""Two keys and a number must fit in one entry of a Postgres index (2,704 bytes)."""
_REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"


class EventRow(NamedTuple):
    """One row of `events`, in the order of its columns."""

    event_id: str
    type: str
    category: str
    priority: int
    schema_version: str
    schema_id: int
    timestamp: datetime
    source: str
    correlation_id: str | None
    causation_id: str | None
    aggregate_type: str | None
    aggregate_id: str | None
    aggregate_version: int | None
    user_id: str | None
    trace_id: str | None
    framed: bytes
    data: str | None
    command_id: str | None = None


def event_row(event: Event[Any], framed: bytes, *, with_json: bool) -> EventRow:
    """The row of an event. Raises Unstorable, or SchemaError when its data cannot be decoded."""
    aggregate = event.aggregate
    return EventRow(
        event_id=_key("id", event.id),
        type=_key("type", event.type),
        category=event.category.value,
        priority=int(event.priority),
        schema_version=_text(event.version),
        schema_id=schema_id_of(framed),
        timestamp=_timestamp(event),
        source=_text(event.source),
        correlation_id=_optional_key("correlationId", event.correlation_id),
        causation_id=_optional(event.causation_id),
        aggregate_type=None if aggregate is None else _key("aggregate.type", aggregate.type),
        aggregate_id=None if aggregate is None else _key("aggregate.id", aggregate.id),
        aggregate_version=None if aggregate is None else aggregate.version,
        user_id=_optional(event.metadata.user_id),
        trace_id=_optional(event.metadata.trace_id),
        framed=framed,
        data=json_text(event.payload) if with_json else None,
        command_id=_command_id(event),
    )


def json_text(payload: Mapping[str, Any]) -> str | None:
    """The data as JSON that Postgres accepts; None for NaN, NUL, bytes or half a surrogate pair."""
    try:
        text = _ENCODER.encode(dict(payload))
        text.encode()
    except (TypeError, ValueError, RecursionError):
        return None
    return None if "\\u0000" in text and _holds_nul(payload) else text


def _as_text(value: object) -> str:
    """Logical types of Avro as ISO 8601 or decimal text; TypeError for what has no text form."""
    match value:
        case datetime() | date() | time():
            return value.isoformat()
        case Decimal() | UUID():
            return str(value)
        case _:
            raise TypeError(f"{type(value).__name__} has no JSON form")


_ENCODER: Final = json.JSONEncoder(
    allow_nan=False, ensure_ascii=False, separators=(",", ":"), default=_as_text
)


def _holds_nul(value: object) -> bool:
    match value:
        case str():
            return _NUL in value
        case Mapping():
            return any(_holds_nul(part) for pair in value.items() for part in pair)
        case Sequence():
            return any(_holds_nul(part) for part in value)
        case _:
            return False


def _command_id(event: Event[Any]) -> str | None:
    command_id = _optional_key(f"metadata.extra.{COMMAND_ID}", command_id_of(event))
    if command_id is not None and len(command_id.encode()) > LONGEST_COMMAND_ID_BYTES:
        raise Unstorable(
            f"metadata.extra.{COMMAND_ID} is longer than {LONGEST_COMMAND_ID_BYTES} bytes."
        )
    return command_id


def _timestamp(event: Event[Any]) -> datetime:
    try:
        return event.timestamp
    except (OverflowError, ValueError, OSError) as error:
        raise Unstorable(
            f"The timestamp {event.timestamp_ms} ms is outside the calendar."
        ) from error


def _key(path: str, value: str) -> str:
    """An indexed column: what Postgres cannot hold as it is would be found under a wrong name."""
    if _NUL in value:
        raise Unstorable(f"{path} holds a NUL character, which Postgres cannot store.")
    size = len(value.encode())
    if size > LONGEST_KEY_BYTES:
        raise Unstorable(f"{path} has {size} bytes, an index holds {LONGEST_KEY_BYTES}.")
    return value


def _optional_key(path: str, value: str | None) -> str | None:
    return None if value is None else _key(path, value)


def _text(value: str) -> str:
    """A descriptive column: a NUL is replaced, the bytes keep the original."""
    return value.replace(_NUL, _REPLACEMENT)


def _optional(value: str | None) -> str | None:
    return None if value is None else _text(value)
