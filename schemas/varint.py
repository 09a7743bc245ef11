"""Writes whole numbers as Avro does: zigzag, seven bits a byte, the lowest first."""

from functools import lru_cache
from typing import Final


def _varint(number: int) -> bytes:
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)


_TABLE: Final = 1 << 14
SHORT: Final = tuple(_varint(number) for number in range(_TABLE))
"""The bytes of all numbers that take at most two, after zigzag."""

NULL: Final = b"\x00"
"""Zero: also the first branch of a union, and the end of a list."""


def write_long(value: int) -> bytes:
    """A number of at most 64 bits."""
    number = value << 1 if value >= 0 else ~(value << 1)
    return SHORT[number] if number < _TABLE else _varint(number)


def write_time(milliseconds: int) -> bytes:
    """A time: all but its lowest 14 bits are the same for eight seconds."""
    number = milliseconds << 1
    if number < _TABLE:
        return write_long(milliseconds)
    return bytes((number & 127 | 128, number >> 7 & 127 | 128)) + _recent(number >> 14)


_recent = lru_cache(maxsize=64)(_varint)
