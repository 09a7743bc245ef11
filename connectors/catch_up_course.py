"""The course of a catch-up subscription through one partition. Pure: what is delivered, and when.

History and live tail are the same records under the same offsets, so one number says where the one
ends and the other begins, and a set of recent ids tells an event that was archived twice.
"""

from collections import deque
from collections.abc import Iterable
from typing import Final

RECENT: Final = 8_192
"""How many records of a partition are remembered: a repeat that comes later counts as new."""


class Course:
    """Where a subscription is in one partition.

    `position` is the next offset to be looked at. Below `start`, where it left off, records are
    only remembered.
    """

    def __init__(self, start: int, position: int, recent: Iterable[str] = ()) -> None:
        """`recent`: the ids before the position, the latest last."""
        self.start = start
        self.position = min(start, position)
        self._order: deque[str] = deque()
        self._recent: set[str] = set()
        for event_id in recent:
            self._remember(event_id)

    @property
    def checkpoint(self) -> int:
        """Where to go on when everything so far was worked on."""
        return max(self.start, self.position)

    def take(self, offset: int, event_id: str) -> bool:
        """Look at the next record; whether it is to be delivered.

        Not what was looked at before, nor what was delivered before the subscription began anew,
        nor another copy of a recent event.
        """
        if offset < self.position:
            return False
        self.position = offset + 1
        is_new = event_id not in self._recent
        if is_new:
            self._remember(event_id)
        return is_new and offset >= self.start

    def pass_by(self, offset: int) -> None:
        """Everything below the offset was seen, or is no event."""
        self.position = max(self.position, offset)

    def _remember(self, event_id: str) -> None:
        if event_id in self._recent:
            return
        self._order.append(event_id)
        self._recent.add(event_id)
        if len(self._order) > RECENT:
            self._recent.discard(self._order.popleft())
