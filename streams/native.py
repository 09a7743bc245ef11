"""Whether the part in C that folds is there, and whether it is used; see `schemas.native`."""

from importlib import import_module
from typing import Any, Final

from schemas import native

try:
    folding: Any = import_module("streams._native_folding")
except ImportError:  # where it was not built
    folding = None

FOLDING_FORMAT: Final = 1
"""What it is given, and gives; raised with every change, in C too."""

AVAILABLE: Final = folding is not None and folding.FOLDING_FORMAT == FOLDING_FORMAT
IN_USE: Final = AVAILABLE and native.IS_WANTED
