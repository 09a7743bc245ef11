"""Garbage collection of a process that makes millions of small objects which form no cycles."""

import gc
from typing import Final

OBJECTS: Final = 100_000
"""How many objects must have been made, and still be there, before cycles are looked for.

Python's 700 is one batch of records: it looked through all of them, over and over, for a fifth of
the time (docs/explanation/performance.md).
"""


def collect_garbage_less_often() -> None:
    """For a whole process; what was loaded until now is never looked through again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(OBJECTS, 20, 100)
