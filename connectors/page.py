"""How much is read at once, whatever single events weigh: queries take both bounds.

A page ends behind the row with which it reaches the bytes, so it is never much heavier than that
and one event.
"""

from typing import Final

PAGE_ROWS: Final = 2_000
PAGE_BYTES: Final = 4_000_000


def is_last(rows: int, size: int) -> bool:
    """Whether nothing is left behind a page of so many rows and bytes: no bound has ended it."""
    return rows < PAGE_ROWS and size < PAGE_BYTES
