"""How wide lines on stdout may be: as wide as the terminal, or as COLUMNS says elsewhere."""

from __future__ import annotations

import os
import shutil
import sys
from typing import overload


@overload
def output_width(elsewhere: int) -> int: ...
@overload
def output_width(elsewhere: None) -> int | None: ...
def output_width(elsewhere: int | None) -> int | None:
    """Columns of the terminal, or what COLUMNS asks for; `elsewhere` for a pipe without it."""
    if sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdecimal():
        return shutil.get_terminal_size().columns
    return elsewhere
