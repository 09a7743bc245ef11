"""How many rows a page has, so that its bytes are bounded whatever single events weigh."""

from typing import Final

PAGE_BYTES: Final = 4_000_000
"""What a page should weigh: a few large events, or the most rows of small ones."""

FIRST_ROWS: Final = 100
MOST_ROWS: Final = 2_000


class PageSize:
    """Adapts to the rows that were read."""

    def __init__(self) -> None:
        self.rows = FIRST_ROWS

    def goes_on(self, rows: int, size: int) -> bool:
        """Note a page of so many rows and bytes; False when it was the last one."""
        is_full = rows >= self.rows
        if is_full:
            fitting = PAGE_BYTES * rows // max(1, size)
            # A page of small events says little about the next one: it grows step by step.
            self.rows = max(1, min(fitting, self.rows * 4, MOST_ROWS))
        return is_full
