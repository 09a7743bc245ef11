"""Columns of rows in the binary form of arrays, for statements that `unnest` them.

In C where that is built (`connectors.native`). A column that holds what is not sent there is
encoded by the driver, whose checks and errors stand.
"""

from typing import Any, Final

from psycopg import adapters
from psycopg.abc import AdaptContext
from psycopg.adapt import Dumper
from psycopg.pq import Format

from connectors import native

_TYPE_OF_THE_STATEMENT: Final = 0
"""For a parameter without a type of its own, Postgres takes that which it is cast to."""


class BinaryArray(bytes):
    """An encoded array: a parameter that the statement casts to its type, as `%(ids)b::text[]`."""

    __slots__ = ()


class _ArrayDumper(Dumper):
    """Hands the bytes over as they are."""

    format = Format.BINARY
    oid = _TYPE_OF_THE_STATEMENT

    def dump(self, obj: BinaryArray) -> BinaryArray:
        return obj


def let_send_arrays(connection: AdaptContext) -> None:
    """The connection takes a BinaryArray as a parameter from now on."""
    connection.adapters.register_dumper(BinaryArray, _ArrayDumper)


def binary_array(element_type: str, values: tuple[Any, ...]) -> BinaryArray:
    """An array of a type, by Postgres' name, for a connection that speaks UTF-8.

    Raises what the driver says of a value that it cannot send; a NUL is refused by Postgres. Of an
    integer that is too large for int2 or int4 the driver sends the lower bytes: none may be.
    """
    packed = _packed(element_type, values) if native.IN_USE else None
    return BinaryArray(_dumped(element_type, values) if packed is None else packed)


def _packed(element_type: str, values: tuple[Any, ...]) -> bytes | None:
    letter = native.COLUMN_LETTERS.get(element_type)
    if letter is None:
        return None
    packed: bytes | None = native.rows.pack_array(letter, adapters.types[element_type].oid, values)
    return packed


def _dumped(element_type: str, values: tuple[Any, ...]) -> Any:
    """What the driver sends for a list of values of the type, whatever they are."""
    array_oid = adapters.types[element_type].array_oid
    dumper = adapters.get_dumper_by_oid(array_oid, Format.BINARY)
    return dumper(list, adapters).dump(list(values))
