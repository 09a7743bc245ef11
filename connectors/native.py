"""Whether the part in C that makes rows is there, and whether it is used; see `schemas.native`."""

from typing import Any, Final

from schemas import native

rows: Any = native.part("connectors._native_rows")

ROWS_FORMAT: Final = 1
"""What it is given, and gives; raised with every change, in C too."""

AVAILABLE: Final = rows is not None and rows.ROWS_FORMAT == ROWS_FORMAT
IN_USE: Final = AVAILABLE and native.IS_WANTED
