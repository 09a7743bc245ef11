"""Which held frames a later one says anew. Pure.

A run is frames of one room and one aggregate that tell the same state, one after the other; any
other frame of that aggregate in that room ends it, for what it says may stand on theirs.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from gateway.broadcast import Broadcast


class _Newest(NamedTuple):
    """The last frame of a run that may still go on."""

    state: str
    offset: int


@dataclass(slots=True)
class OpenRuns:
    """The runs of one partition that may still go on: by room and aggregate their newest frame."""

    _rooms: dict[str, dict[str, _Newest]] = field(default_factory=dict)

    def take(self, broadcast: Broadcast) -> int | None:
        """Take in the next frame; the offset of the frame that it says anew, None without one."""
        if broadcast.aggregate is None:
            # Its route did not say what it is about: it may be about any of them.
            self._rooms.pop(broadcast.room, None)
            return None
        runs = self._rooms.setdefault(broadcast.room, {})
        newest = runs.pop(broadcast.aggregate, None)
        if broadcast.state is not None and broadcast.aggregate:
            runs[broadcast.aggregate] = _Newest(broadcast.state, broadcast.offset)
        if not runs:
            del self._rooms[broadcast.room]
        is_said_anew = newest is not None and newest.state == broadcast.state
        return newest.offset if newest is not None and is_said_anew else None

    def forget(self, broadcast: Broadcast) -> None:
        """The frame is not held any more."""
        runs = self._rooms.get(broadcast.room, {})
        newest = runs.get(broadcast.aggregate or "")
        if newest is not None and newest.offset == broadcast.offset:
            del runs[broadcast.aggregate or ""]
            if not runs:
                del self._rooms[broadcast.room]
