"""From an event to its row: columns from the envelope, the bytes as they were, JSON where JSON can.

Pure. A row never fails because of its data: data that JSON cannot hold is null, the bytes hold it.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final, NamedTuple
from uuid import UUID

import orjson

from connectors import native
from connectors.errors import Unstorable
from schemas.envelope import Category, Priority
from schemas.event import EPOCH, MILLISECOND, Event
from schemas.framing import schema_id_of
from streams.appending import COMMAND_ID, LONGEST_COMMAND_ID_BYTES, command_id_of

_NUL: Final = "\x00"
LONGEST_KEY_BYTES: Final = 1_000
"""Two keys and a number must fit in one entry of a Postgres index (2,704 bytes)."""
KNOWN_TEXTS: Final = 4_096
"""So many different types, and sources, are remembered as checked."""

_LONGEST_CHARACTER: Final = 4
"""Bytes of a character in UTF-8, at most."""

_NO_AGGREGATE: Final = (None, None, None)
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
    """The row of an event; with JSON of one taken `as_stored`, whose payload becomes `data`.

    Raises Unstorable, or SchemaError when its data cannot be decoded.
    """
    return _made(event, framed, json_text(event.payload) if with_json else None)


def _judged(event: Event[Any], framed: bytes, data: str | None) -> EventRow:
    """The row of any event. Raises Unstorable."""
    it = event.envelope
    aggregate_type, aggregate_id, version = it.aggregate or _NO_AGGREGATE
    user_id, trace_id, *_ = it.metadata
    own = (it.id, it.correlation_id, it.causation_id, aggregate_id, user_id, trace_id)
    if not _are_plain("".join([text for text in own if text])):
        own = _checked(*own)
    event_id, correlation_id, causation_id, aggregate_id, user_id, trace_id = own
    source, aggregate_type = _described(it.source, aggregate_type)
    # Made as a plain tuple: this runs for each event that is stored.
    return tuple.__new__(
        EventRow,
        (
            event_id,
            *_shared(it.type, it.category, it.priority, it.version),
            schema_id_of(framed),
            _timestamp(it.timestamp_ms),
            source,
            correlation_id,
            causation_id,
            aggregate_type,
            aggregate_id,
            version,
            user_id,
            trace_id,
            framed,
            data,
            _command_id(event),
        ),
    )


OwnTexts = tuple[str, str | None, str | None, str | None, str | None, str | None]
"""Id, correlation, causation, aggregate id, user and trace."""


def _checked(  # one for each column
    event_id: str,
    correlation_id: str | None,
    causation_id: str | None,
    aggregate_id: str | None,
    user_id: str | None,
    trace_id: str | None,
) -> OwnTexts:
    """The texts that an event has of its own, each looked at. Raises Unstorable."""
    return (
        _key("id", event_id),
        _optional_key("correlationId", correlation_id),
        _optional_key("causationId", causation_id),
        _optional_key("aggregate.id", aggregate_id),
        _optional(user_id),
        _optional(trace_id),
    )


@lru_cache(KNOWN_TEXTS)
def _shared(
    event_type: str, category: Category, priority: Priority, version: str
) -> tuple[str, str, int, str]:
    """Columns that all events of a type have alike."""
    return _key("type", event_type), category.value, int(priority), _text(version)


@lru_cache(KNOWN_TEXTS)
def _described(source: str, aggregate_type: str | None) -> tuple[str, str | None]:
    """Columns that many events have alike."""
    return _text(source), _optional_key("aggregate.type", aggregate_type)


def _are_plain(texts: str) -> bool:
    """Whether no column can be too long, or hold a NUL: true of nearly all events."""
    return _NUL not in texts and len(texts) * _LONGEST_CHARACTER <= LONGEST_KEY_BYTES


def json_text(payload: Mapping[str, Any]) -> str | None:
    """The data as JSON that Postgres accepts; None for NaN, NUL, bytes or half a surrogate pair."""
    try:
        fast = orjson.dumps(payload, _as_text, orjson.OPT_PASSTHROUGH_DATETIME)
    except (TypeError, ValueError, RecursionError):
        return _careful_json_text(payload)
    # It writes null for NaN, and escapes a NUL: where one of both may be, look closely.
    if b"null" in fast or b"\\u0000" in fast:
        return _careful_json_text(payload)
    return fast.decode()


def _careful_json_text(payload: Mapping[str, Any]) -> str | None:
    try:
        # A new event without a data class has a read-only view of a mapping, which is no dict.
        text = json.dumps(
            dict(payload),
            allow_nan=False,
            ensure_ascii=False,
            separators=(",", ":"),
            default=_as_text,
        )
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


def _timestamp(timestamp_ms: int) -> datetime:
    try:
        return EPOCH + timestamp_ms * MILLISECOND
    except (OverflowError, ValueError, OSError) as error:
        raise Unstorable(f"The timestamp {timestamp_ms} ms is outside the calendar.") from error


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


_made: Final[Callable[[Event[Any], bytes, str | None], EventRow]] = (
    native.rows.RowMaker(
        EventRow, LONGEST_KEY_BYTES, _shared, _described, _command_id, _judged
    ).make
    if native.IN_USE
    else _judged
)
"""The row of an event; in C where that is built, which leaves all that is unusual to `_judged`."""
