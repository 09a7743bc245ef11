"""A client as a position in the shared log: what it sees next, and what it missed for good.

Pure: no I/O and no clock. A client that does not read costs its positions and rooms, no queue.
Guarantees: in order per room; a room that is joined later is caught up without repeating the
others; whatever left the log before it was seen is named in a gap. A client that lags is not sent
what a later frame of the same run says anew; that frame says how many it stands for.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from gateway.broadcast import Broadcast
from gateway.broadcast_log import BroadcastLog, PartitionLog, Start
from gateway.cursor import Gap, GapReason
from gateway.left_out import LeftOut
from schemas.pattern import matches
from streams.records import TopicPartition


@dataclass(frozen=True, slots=True, kw_only=True)
class Portion:
    """What a client is to be sent next. `more`: the log holds more to look at."""

    gaps: tuple[Gap, ...]
    broadcasts: tuple[Broadcast, ...]
    more: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """Bounds of one portion: packets, their bytes, and records to look at in each partition."""

    packets: int
    size_bytes: int
    look: int


@dataclass(slots=True, kw_only=True)
class _Gathering:
    allowance: Allowance
    found: list[Broadcast] = field(default_factory=list)
    size: int = 0

    @property
    def full(self) -> bool:
        return len(self.found) >= self.allowance.packets or self.size >= self.allowance.size_bytes

    def add(self, broadcast: Broadcast) -> None:
        self.found.append(broadcast)
        self.size += broadcast.size


@dataclass(slots=True, kw_only=True)
class Follower:
    """Reads the log for one client.

    `positions` holds the next offset of each partition, `rooms` for each joined room the offsets
    from which it is to be sent. `patterns` is None until the client first subscribes: every type.
    `lag` is how many records of a partition a client may be behind before runs are compressed for
    it; None: they never are.
    """

    positions: dict[TopicPartition, int]
    rooms: dict[str, dict[TopicPartition, int]] = field(default_factory=dict)
    patterns: set[str] | None = None
    lag: int | None = None
    _left_out: LeftOut = field(default_factory=LeftOut)
    _verdicts: dict[str, bool] = field(default_factory=dict)
    _turn: int = 0

    def join(self, room: str, start: Start) -> None:
        """Send this room from `start` on, going back for it alone if that lies behind."""
        if not self.rooms:
            self.positions = dict(start.offsets)
        for source, offset in start.offsets.items():
            position = self.positions[source]
            if offset < position:
                self._hold_others(room, source, position)
                self.positions[source] = offset
        self.rooms[room] = dict(start.offsets)

    def leave(self, room: str) -> None:
        """Send nothing of this room any more."""
        self.rooms.pop(room, None)
        self._left_out.leave(room)

    def subscribe(self, patterns: Iterable[str]) -> None:
        """See types that match one of these too; the first call ends seeing every type."""
        self.patterns = (self.patterns or set()) | set(patterns)
        self._verdicts.clear()

    def unsubscribe(self, patterns: Iterable[str]) -> None:
        """No longer see types for these patterns; with none left, no event is seen."""
        self.patterns = (self.patterns or set()) - set(patterns)
        self._verdicts.clear()

    def take(self, log: BroadcastLog, allowance: Allowance) -> Portion:
        """Go on in the log as far as the allowance goes."""
        if not self.rooms:
            return Portion(gaps=(), broadcasts=(), more=False)
        gaps: list[Gap] = []
        gathering = _Gathering(allowance=allowance)
        for source in self._in_turn(log):
            gaps.extend(self._fallen_out(source, log.partitions[source].first))
            self._look_through(source, log.partitions[source], gathering)
        more = any(self.positions[source] < part.end for source, part in log.partitions.items())
        return Portion(gaps=tuple(gaps), broadcasts=tuple(gathering.found), more=more)

    def _in_turn(self, log: BroadcastLog) -> list[TopicPartition]:
        """Each call begins with another partition, so that a busy one does not starve the rest."""
        sources = list(log.partitions)
        self._turn = (self._turn + 1) % max(1, len(sources))
        return sources[self._turn :] + sources[: self._turn]

    def _look_through(
        self, source: TopicPartition, partition: PartitionLog, gathering: _Gathering
    ) -> None:
        lags = self.lag is not None and partition.end - self.positions[source] > self.lag
        for looked_at, broadcast in enumerate(partition.after(self.positions[source])):
            if gathering.full or looked_at >= gathering.allowance.look:
                return
            self.positions[source] = broadcast.offset + 1
            later = partition.said_anew_at(broadcast.offset) if lags else None
            if not self._sees(broadcast):
                self._left_out.drop(broadcast)
            elif later is not None:
                self._left_out.add(broadcast, later)
            else:
                gathering.add(self._left_out.settled(broadcast))
        self.positions[source] = max(self.positions[source], partition.end)

    def _sees(self, broadcast: Broadcast) -> bool:
        room_start = self.rooms.get(broadcast.room)
        if room_start is None or broadcast.offset < room_start[broadcast.source]:
            return False
        verdict = self._verdicts.get(broadcast.type)
        if verdict is None:
            verdict = self.patterns is None or any(
                matches(pattern, broadcast.type) for pattern in self.patterns
            )
            self._verdicts[broadcast.type] = verdict
        return verdict

    def _fallen_out(self, source: TopicPartition, first: int) -> Iterable[Gap]:
        position = self.positions[source]
        if position >= first:
            return
        self.positions[source] = first
        wanted_from = max(position, min(start[source] for start in self.rooms.values()))
        left_out_from = self._left_out.lost(source, first)
        if left_out_from is not None:
            wanted_from = min(wanted_from, left_out_from)
        if wanted_from < first:
            yield Gap(source=source, start=wanted_from, stop=first, reason=GapReason.OUT_OF_HISTORY)

    def _hold_others(self, room: str, source: TopicPartition, position: int) -> None:
        for other, start in self.rooms.items():
            if other != room:
                start[source] = max(start[source], position)
