"""What one client was not sent because a later frame says it anew. Pure.

Bounded by the runs that are not at their end: each is known by the offset of the frame to come.
"""

from dataclasses import dataclass, field

from gateway.broadcast import Broadcast
from streams.records import TopicPartition


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """Frames that were left out, one after the other."""

    room: str
    count: int
    first_id: str
    first_offset: int


@dataclass(slots=True)
class LeftOut:
    """Frames that were left out, by the place of the frame that will stand for them."""

    _runs: dict[tuple[TopicPartition, int], _Run] = field(default_factory=dict)

    def add(self, broadcast: Broadcast, by: int) -> None:
        """Leave a frame out, and what it stands for; the one at offset `by` stands for them."""
        before = self._runs.pop((broadcast.source, broadcast.offset), None)
        self._runs[broadcast.source, by] = _Run(
            room=broadcast.room,
            count=1 if before is None else before.count + 1,
            first_id=broadcast.id if before is None else before.first_id,
            first_offset=broadcast.offset if before is None else before.first_offset,
        )

    def settled(self, broadcast: Broadcast) -> Broadcast:
        """The frame as it is sent: saying what it stands for, if it does."""
        run = self._runs.pop((broadcast.source, broadcast.offset), None) if self._runs else None
        return broadcast if run is None else broadcast.standing_for(run.count + 1, run.first_id)

    def drop(self, broadcast: Broadcast) -> None:
        """The client does not want the frame any more, nor what it stands for."""
        if self._runs:
            self._runs.pop((broadcast.source, broadcast.offset), None)

    def leave(self, room: str) -> None:
        """The client has left a room."""
        self._runs = {place: run for place, run in self._runs.items() if run.room != room}

    def lost(self, source: TopicPartition, first: int) -> int | None:
        """The first offset of what nothing will stand for: its frame lay before `first`."""
        gone = [place for place in self._runs if place[0] == source and place[1] < first]
        return min((self._runs.pop(place).first_offset for place in gone), default=None)
