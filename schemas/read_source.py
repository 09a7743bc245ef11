"""Lines of Python that read one Avro primitive: what the generated readers are made of.

All work on `data` and `at`, and leave the value in a variable. Bytes that end early are met by the
next index, or by the caller's check that `at` has not passed the end.
"""

from collections.abc import Iterator, Mapping
from struct import Struct
from typing import Any, Final

from schemas.errors import TruncatedEvent

LONGEST_VARINT: Final = 10
"""Bytes of a number of 64 bits."""

_MARKS_1: Final = 128
_MARKS_2: Final = _MARKS_1 + (128 << 7)
_MARKS_3: Final = _MARKS_2 + (128 << 14)
"""What the first bytes of a number hold beside it: the mark that another byte follows."""


def varint_tail(data: bytes, at: int, first: int) -> tuple[int, int]:
    """The rest of a varint whose first byte was above 127.

    The number before zigzag, and where it ends.
    """
    second = data[at]
    if second < 128:
        return first + (second << 7) - _MARKS_1, at + 1
    third = data[at + 1]
    if third < 128:
        return first + (second << 7) + (third << 14) - _MARKS_2, at + 2
    fourth = data[at + 2]
    if fourth < 128:
        return first + (second << 7) + (third << 14) + (fourth << 21) - _MARKS_3, at + 3
    number, shift = first & 127, 7
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 127) << shift
        if byte < 128:
            break
        shift += 7
        if shift == 7 * LONGEST_VARINT:
            raise TruncatedEvent("a number has more than ten bytes")
    if number >> 64:
        raise TruncatedEvent("a number has more than 64 bits")
    return number, at


def read_long(data: bytes, at: int) -> tuple[int, int]:
    """A whole number of up to 64 bits, and where it ends."""
    number, at = data[at], at + 1
    if number > 127:
        number, at = varint_tail(data, at, number)
    return number >> 1 ^ -(number & 1), at


def read_int_tail(data: bytes, at: int, first: int) -> tuple[int, int]:
    """Like `varint_tail`, for a number of 32 bits."""
    number, at = varint_tail(data, at, first)
    if number >> 32:
        raise TruncatedEvent("an int has more than 32 bits")
    return number, at


def read_length(data: bytes, at: int, first: int) -> tuple[int, int]:
    """The doubled length of a text whose first byte was odd or above 127."""
    if first > 127:
        first, at = varint_tail(data, at, first)
    if first & 1:
        raise TruncatedEvent("a text has a negative length")
    return first, at


INTEGERS: Final = tuple(number >> 1 ^ -(number & 1) for number in range(1 << 14))
"""The numbers of one and two bytes by what they are before zigzag."""

SCOPE: Final[Mapping[str, Any]] = {
    "INTEGERS": INTEGERS,
    "read_double": Struct("<d").unpack_from,
    "read_float": Struct("<f").unpack_from,
    "read_int_tail": read_int_tail,
    "read_length": read_length,
    "read_long": read_long,
    "varint_tail": varint_tail,
}
"""What the lines of this module call."""


def branch(indent: str) -> Iterator[str]:
    """`n`: the next varint, before zigzag."""
    yield f"{indent}n = data[at]"
    yield f"{indent}at += 1"
    yield f"{indent}if n > 127:"
    yield f"{indent}    n, at = varint_tail(data, at, n)"


def integer(variable: str, indent: str, tail: str = "varint_tail") -> Iterator[str]:
    """A whole number; those of one and two bytes are read without a call."""
    yield f"{indent}n = data[at]"
    yield f"{indent}at += 1"
    yield f"{indent}if n < 128:"
    yield f"{indent}    {variable} = INTEGERS[n]"
    yield f"{indent}elif (high := data[at]) < 128:"
    yield f"{indent}    {variable} = INTEGERS[n + (high << 7) - 128]"
    yield f"{indent}    at += 1"
    yield f"{indent}else:"
    yield f"{indent}    n, at = {tail}(data, at, n)"
    yield f"{indent}    {variable} = n >> 1 ^ -(n & 1)"


def sized(variable: str, indent: str, decode: str = ".decode()") -> Iterator[str]:
    """A text, or bytes where nothing decodes them; lengths below 8192 are read without a call."""
    yield f"{indent}n = data[at]"
    yield f"{indent}at += 1"
    yield f"{indent}if n & 129:"
    yield f"{indent}    high = data[at]"
    yield f"{indent}    if n & 1 or high > 127:"
    yield f"{indent}        n, at = read_length(data, at, n)"
    yield f"{indent}    else:"
    yield f"{indent}        n += (high << 7) - 128"
    yield f"{indent}        at += 1"
    yield f"{indent}{variable} = data[at : (at := at + (n >> 1))]{decode}"


def boolean(variable: str, indent: str) -> Iterator[str]:
    """Exactly 0 or 1."""
    yield f"{indent}n = data[at]"
    yield f"{indent}at += 1"
    yield f"{indent}if n > 1:"
    yield f"{indent}    raise ValueError('a boolean is neither 0 nor 1')"
    yield f"{indent}{variable} = n == 1"


def number(variable: str, indent: str, kind: str, width: int) -> Iterator[str]:
    """A float or double."""
    yield f"{indent}({variable},) = read_{kind}(data, at)"
    yield f"{indent}at += {width}"
