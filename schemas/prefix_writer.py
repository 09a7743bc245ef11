"""Writes the envelope as Avro.

Always in the envelope version of this release, always the same bytes. In C where that is built
(`schemas._native_writing`), which leaves all that is out of the ordinary to the form in Python.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final, TypeVar

from schemas import native
from schemas.envelope import (
    NO_EXTRA,
    NO_METADATA,
    Aggregate,
    Category,
    Envelope,
    Metadata,
    Priority,
)
from schemas.errors import InvalidEventData
from schemas.varint import NULL, write_long, write_time

_CATEGORY_NUMBER: Final = {category: bytes([2 * at]) for at, category in enumerate(Category)}
_PRIORITY_NUMBER: Final = {priority: bytes([2 * at]) for at, priority in enumerate(Priority)}
T = TypeVar("T")

_PRESENT: Final = b"\x02"
_NO_METADATA: Final = bytes(4)
_HALF: Final = 1 << 63


def _judged(envelope: Envelope) -> bytes:
    """What `write_envelope` says, with all its errors."""
    aggregate = envelope.aggregate
    parts = [
        _text("id", envelope.id),
        _kind(envelope.type, envelope.category, envelope.priority, envelope.version),
        _time("timestamp", envelope.timestamp_ms),
        _text("source", envelope.source),
        _optional(_text, "correlationId", envelope.correlation_id),
        _optional(_text, "causationId", envelope.causation_id),
    ]
    if aggregate is None:
        parts.append(NULL)
    else:
        parts += (
            _PRESENT,
            _text("aggregate.type", aggregate.type),
            _text("aggregate.id", aggregate.id),
            _optional(_number, "aggregate.version", aggregate.version),
        )
    metadata = envelope.metadata
    parts.append(_NO_METADATA if metadata is NO_METADATA else _metadata(metadata))
    return b"".join(parts)


@lru_cache(maxsize=1024)
def _kind(event_type: str, category: Category, priority: Priority, version: str) -> bytes:
    """What all events of one schema have in common."""
    return b"".join(
        (
            _text("type", event_type),
            _CATEGORY_NUMBER[category],
            _PRIORITY_NUMBER[priority],
            _text("version", version),
        )
    )


def _metadata(metadata: Metadata) -> bytes:
    retries = metadata.retry_count
    if type(retries) is int and not -(1 << 31) <= retries < 1 << 31:
        raise InvalidEventData("metadata.retryCount", "is outside of 32 bits")
    return b"".join(
        (
            _optional(_text, "metadata.userId", metadata.user_id),
            _optional(_text, "metadata.traceId", metadata.trace_id),
            _optional(_number, "metadata.retryCount", retries),
            _texts("metadata.extra", metadata.extra),
        )
    )


def _texts(path: str, entries: Mapping[str, str]) -> bytes:
    if not entries:
        return NULL
    written = [
        _text(f"{path} key", key) + _text(f"{path}[{key!r}]", value)
        for key, value in entries.items()
    ]
    return b"".join((write_long(len(entries)), *written, NULL))


def _optional(write: Callable[[str, T], bytes], path: str, value: T | None) -> bytes:
    return NULL if value is None else _PRESENT + write(path, value)


def _text(path: str, value: str) -> bytes:
    try:
        text = value.encode()
    except (AttributeError, UnicodeEncodeError) as error:
        raise InvalidEventData(path, f"is no text that UTF-8 can hold ({error})") from None
    return write_long(len(text)) + text


def _time(path: str, value: int) -> bytes:
    return write_time(_whole(path, value))


def _number(path: str, value: int) -> bytes:
    return write_long(_whole(path, value))


def _whole(path: str, value: int) -> int:
    if type(value) is not int or not -_HALF <= value < _HALF:
        raise InvalidEventData(path, "is no number of 64 bits")
    return value


write_envelope: Final[Callable[[Envelope], bytes]] = (
    native.writing.EnvelopeWriter(Envelope, Aggregate, Metadata, NO_EXTRA, _kind, _judged).write
    if native.WRITING_IN_USE
    else _judged
)
"""The envelope's part of the composed record.

Raises InvalidEventData for what is no text or number.
"""
