"""Whether the readers and the writer in C are there, and whether they are used.

They are built with the project where a C compiler and the headers of Python are, and left out
elsewhere. They say the same as those in Python, which judge all that is out of the ordinary;
`WUNDR_PURE=1` in the environment of a process leaves them out too.
"""

import os
from enum import IntEnum
from importlib import import_module
from typing import Any, Final


def part(name: str, format_name: str, wanted: int) -> Any:
    """The module in C of this name; None where it was not built, or by another release.

    `format_name`: where it says what it is given and gives, which must be what is `wanted`.
    """
    try:
        found = import_module(name)
    except ImportError:
        return None
    return found if getattr(found, format_name) == wanted else None


PROGRAM_FORMAT: Final = 2
"""What the programs look like that are made here; raised with every change, in C too."""

reading: Any = part("schemas._native_reading", "PROGRAM_FORMAT", PROGRAM_FORMAT)
"""Reads events; see `schemas.native_view` and `schemas.native_data`."""


class Step(IntEnum):
    """The steps of a program; each stands first in a tuple, with what it needs behind it."""

    NULL = 0
    BOOLEAN = 1
    INT = 2
    LONG = 3
    FLOAT = 4
    DOUBLE = 5
    BYTES = 6
    TEXT = 7
    REPEATED_TEXT = 8
    """A text that is often that of the event before."""
    FIXED = 9
    """The size."""
    LONG_WITHIN = 10
    """The least and the most."""
    ENUM = 11
    """What each symbol of the writer is; None for one that is not known."""
    UNION = 12
    """A program for each branch."""
    ARRAY = 13
    """The program of the items."""
    MAP = 14
    """The program of the values."""
    MAPPING = 15
    """The names of the fields, a program for each."""
    NAMED_TUPLE = 16
    """The class, the place of each field in it or -1, a program for each."""
    ZEROS_AS = 17
    """How many zeros, what they stand for, and the program of anything else."""
    CONVERTED = 18
    """A function, and the program of what it is given."""
    SKIPPED = 19
    """A function that is given the bytes and a place, and says where to go on."""


AVAILABLE: Final = reading is not None
SWITCH: Final = "WUNDR_PURE"
"""The variable that leaves them out."""

IS_WANTED: Final = os.environ.get(SWITCH, "") in {"", "0"}
"""Whether this process may use parts in C at all."""

IN_USE: Final = AVAILABLE and IS_WANTED

WRITING_FORMAT: Final = 1
"""What it is given, and gives; raised with every change, in C too."""

writing: Any = part("schemas._native_writing", "WRITING_FORMAT", WRITING_FORMAT)
"""Writes envelopes; see `schemas.prefix_writer`."""

WRITING_AVAILABLE: Final = writing is not None
WRITING_IN_USE: Final = WRITING_AVAILABLE and IS_WANTED


class NotNative(Exception):
    """A schema holds what the readers in C do not know: the one in Python reads it all."""
