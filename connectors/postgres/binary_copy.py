"""Rows in the binary form of COPY, a block at a time.

In C where that is built (`connectors.native`). From the first row on that holds what is not sent
there, the driver encodes them, whose checks and errors stand.
"""

from collections.abc import Sequence
from itertools import islice
from typing import Any, Final

from psycopg import AsyncCopy

from connectors import native

BLOCK_BYTES: Final = 1_048_576
"""So much is encoded before it is sent: more than a socket holds, which is filled each time that it
can take more, though others have the loop in between."""

_SIGNATURE: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
"""What a binary COPY begins with: the name of the form, no flags, no extension."""

_TRAILER: Final = b"\xff\xff"


async def write_rows(copy: AsyncCopy, types: Sequence[str], rows: list[tuple[Any, ...]]) -> None:
    """Write rows of columns of these types, by Postgres' names, on a connection that speaks UTF-8.

    Raises what the driver says of a value that it cannot send.
    """
    copy.set_types(types)
    can_pack = native.IN_USE and native.COLUMN_LETTERS.keys() >= set(types)
    written = await _write_packed(copy, types, rows) if can_pack else 0
    if written < len(rows):
        await _write_by_driver(copy, rows, written)


async def _write_packed(copy: AsyncCopy, types: Sequence[str], rows: list[tuple[Any, ...]]) -> int:
    """Write rows until one is not sent from here; returns how many that were."""
    letters = "".join(native.COLUMN_LETTERS[name] for name in types)
    await copy.write(_SIGNATURE)
    written = 0
    while written < len(rows):
        packed = native.rows.pack(letters, rows, written, BLOCK_BYTES)
        if packed is None:
            return written
        block, written = packed
        await copy.write(block)
    await copy.write(_TRAILER)
    return written


async def _write_by_driver(copy: AsyncCopy, rows: list[tuple[Any, ...]], first: int) -> None:
    """What write_row() of the copy does, in larger blocks."""
    encode = copy.formatter.write_row
    pending = bytearray()
    for row in islice(rows, first, None):
        pending += encode(row)
        if len(pending) >= BLOCK_BYTES:
            await copy.write(pending)
            pending = bytearray()
    await copy.write(pending)
