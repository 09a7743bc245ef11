"""Ids of events: UUIDv7 (RFC 9562), random for a root event, derived for one that a handler emits.

Pure.
"""

import json
from collections.abc import Sequence
from hashlib import sha256
from typing import Final

RANDOM_BYTES: Final = 10
_RANDOM_B_BITS: Final = 62
_RANDOM_B: Final = (1 << _RANDOM_B_BITS) - 1
_RANDOM_A: Final = 0xFFF << _RANDOM_B_BITS
_VARIANT_BITS: Final = 2  # they stand between the two parts of what is random
_VERSION_AND_VARIANT: Final = 7 << 76 | 2 << _RANDOM_B_BITS


def uuid7(timestamp_ms: int, random_80_bits: bytes) -> str:
    """A UUIDv7; of the ten bytes the last 74 bits are used. Ids sort by their millisecond.

    Raises ValueError for a time before 1970 or beyond 48 bits, or fewer or more than ten bytes.
    """
    if len(random_80_bits) != RANDOM_BYTES:
        raise ValueError(f"{RANDOM_BYTES} random bytes are needed, not {len(random_80_bits)}")
    if not 0 <= timestamp_ms < 1 << 48:
        raise ValueError(f"{timestamp_ms} ms is outside of what a UUIDv7 can hold")
    bits = int.from_bytes(random_80_bits, "big")
    random = (bits & _RANDOM_A) << _VARIANT_BITS | bits & _RANDOM_B
    text = (timestamp_ms << 80 | _VERSION_AND_VARIANT | random).to_bytes(16, "big").hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def derived_id(cause_id: str, app: str, handler: str, ordinal: int, timestamp_ms: int) -> str:
    """The id of the `ordinal`th event that a handler emits for a cause.

    The same for every run of it.
    """
    origin = json.dumps([cause_id, app, handler, ordinal]).encode()
    return uuid7(timestamp_ms, sha256(origin).digest()[:RANDOM_BYTES])


def merged_id(merged_ids: Sequence[str], timestamp_ms: int) -> str:
    """The id of the event that stands for these; the same whenever they are merged."""
    origin = json.dumps(["merged", *merged_ids]).encode()
    return uuid7(timestamp_ms, sha256(origin).digest()[:RANDOM_BYTES])
