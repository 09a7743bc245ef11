"""Whether the part in C that makes rows is there, and whether it is used; see `schemas.native`."""

from collections.abc import Mapping
from typing import Any, Final

from schemas import native

ROWS_FORMAT: Final = 2
"""What it is given, and gives; raised with every change, in C too."""

rows: Any = native.part("connectors._native_rows", "ROWS_FORMAT", ROWS_FORMAT)

AVAILABLE: Final = rows is not None
IN_USE: Final = AVAILABLE and native.IS_WANTED

COLUMN_LETTERS: Final[Mapping[str, str]] = {
    "text": "t",
    "int2": "2",
    "int4": "4",
    "int8": "8",
    "timestamptz": "z",
    "bytea": "b",
}
"""What the part in C calls the types of Postgres that it sends."""
