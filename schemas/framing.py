"""Confluent framing: a zero byte, a four-byte schema id, the Avro body.

Ids from the lock file have bit 30 set, ids of a registry service lie below it: both may stand in
one topic.
"""

from typing import Final

from schemas.errors import NotAnEvent

MAGIC: Final = 0
HEADER_SIZE: Final = 5
LOCK_BIT: Final = 1 << 30
"""Set in every id that comes from the lock file."""


def frame_header(schema_id: int) -> bytes:
    """The five bytes before an Avro body."""
    return b"\x00" + schema_id.to_bytes(4, "big")


def frame(schema_id: int, body: bytes) -> bytes:
    """An Avro body with its header."""
    return frame_header(schema_id) + body


def schema_id_of(value: bytes) -> int:
    """The id of the writer schema. Raises NotAnEvent."""
    if len(value) < HEADER_SIZE or value[0] != MAGIC:
        raise NotAnEvent(
            f"{len(value)} bytes that begin with {value[:HEADER_SIZE].hex() or 'nothing'}"
        )
    return int.from_bytes(value[1:HEADER_SIZE], "big")
