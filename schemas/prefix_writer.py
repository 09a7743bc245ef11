"""Writes the envelope as Avro.

Always in the envelope version of this release, always the same bytes.
"""

from collections.abc import Callable, Mapping
from typing import Final, TypeVar

from schemas.envelope import NO_METADATA, Category, Envelope, Metadata, Priority
from schemas.errors import InvalidEventData

_CATEGORY_NUMBER: Final = {category: bytes([2 * at]) for at, category in enumerate(Category)}
_PRIORITY_NUMBER: Final = {priority: bytes([2 * at]) for at, priority in enumerate(Priority)}
T = TypeVar("T")

_NULL: Final = b"\x00"
_PRESENT: Final = b"\x02"
_NO_METADATA: Final = bytes(4)


def write_envelope(envelope: Envelope) -> bytes:
    """The envelope's part of the composed record.

    Raises InvalidEventData for what is no text or number.
    """
    aggregate = envelope.aggregate
    parts = [
        _text("id", envelope.id),
        _text("type", envelope.type),
        _CATEGORY_NUMBER[envelope.category],
        _PRIORITY_NUMBER[envelope.priority],
        _text("version", envelope.version),
        _number("timestamp", envelope.timestamp_ms),
        _text("source", envelope.source),
        _optional(_text, "correlationId", envelope.correlation_id),
        _optional(_text, "causationId", envelope.causation_id),
    ]
    if aggregate is None:
        parts.append(_NULL)
    else:
        parts += (
            _PRESENT,
            _text("aggregate.type", aggregate.type),
            _text("aggregate.id", aggregate.id),
            _optional(_number, "aggregate.version", aggregate.version),
        )
    metadata = envelope.metadata
    parts.append(_NO_METADATA if metadata == NO_METADATA else _metadata(metadata))
    return b"".join(parts)


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
        return _NULL
    written = [
        _text(f"{path} key", key) + _text(f"{path}[{key!r}]", value)
        for key, value in entries.items()
    ]
    return b"".join((_long(len(entries)), *written, _NULL))


def _optional(write: Callable[[str, T], bytes], path: str, value: T | None) -> bytes:
    return _NULL if value is None else _PRESENT + write(path, value)


def _text(path: str, value: str) -> bytes:
    try:
        text = value.encode()
    except (AttributeError, UnicodeEncodeError) as error:
        raise InvalidEventData(path, f"is no text that UTF-8 can hold ({error})") from None
    size = len(text)
    return (bytes((2 * size,)) if size < 64 else _long(size)) + text


def _number(path: str, value: int) -> bytes:
    if type(value) is not int or not -(1 << 63) <= value < 1 << 63:
        raise InvalidEventData(path, "is no number of 64 bits")
    return _long(value)


def _long(value: int) -> bytes:
    """A zigzag number."""
    number = (value << 1) ^ (value >> 63)
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)
