"""The newest broadcasts of all partitions, shared by every client of a node.

Guarantees: in order per partition, each event once per room, bounded by records and bytes; the
oldest go first, and each partition knows the first offset from which it still holds everything.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from gateway.broadcast import Broadcast
from gateway.cursor import Cursor, Gap, GapReason, Offsets
from gateway.runs import OpenRuns
from streams.records import TopicPartition

_COMPACT_AFTER = 1_024


@dataclass(slots=True, kw_only=True)
class PartitionLog:
    """The held broadcasts of one partition.

    Everything from `first` up to, not including, `end` is held, apart from repeats.
    """

    first: int
    end: int
    _held: list[Broadcast] = field(default_factory=list)
    _offsets: list[int] = field(default_factory=list)
    _evicted: int = 0
    _runs: OpenRuns = field(default_factory=OpenRuns)
    _said_anew: dict[int, int] = field(default_factory=dict)

    def append(self, broadcast: Broadcast) -> None:
        """Hold a broadcast behind all others."""
        self._held.append(broadcast)
        self._offsets.append(broadcast.offset)
        earlier = self._runs.take(broadcast)
        if earlier is not None:
            self._said_anew[earlier] = broadcast.offset

    def said_anew_at(self, offset: int) -> int | None:
        """The offset of the next frame that tells all that this one tells; None without one."""
        return self._said_anew.get(offset)

    def evict(self) -> Broadcast:
        """Let go of the oldest; `first` moves behind it."""
        oldest = self._held[self._evicted]
        self._evicted += 1
        self.first = oldest.offset + 1
        self._runs.forget(oldest)
        self._said_anew.pop(oldest.offset, None)
        if self._evicted >= _COMPACT_AFTER and self._evicted * 2 >= len(self._held):
            del self._held[: self._evicted], self._offsets[: self._evicted]
            self._evicted = 0
        return oldest

    def after(self, offset: int) -> Iterator[Broadcast]:
        """The held broadcasts from `offset` on."""
        index = bisect_left(self._offsets, offset, lo=self._evicted)
        while index < len(self._held):
            yield self._held[index]
            index += 1

    def offset_at(self, time_ms: int) -> int:
        """The offset of the first held broadcast at or after a time; the end if there is none."""
        found = (b.offset for b in self.after(self.first) if b.time_ms >= time_ms)
        return next(found, self.end)


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Where a reader begins, and what it asked for that cannot be sent."""

    offsets: dict[TopicPartition, int]
    gaps: tuple[Gap, ...] = ()


class BroadcastLog:
    """A ring of broadcasts over all partitions. `starts` names the first offset of each."""

    def __init__(self, starts: Offsets, *, max_records: int, max_bytes: int) -> None:
        self._partitions = {
            source: PartitionLog(first=offset, end=offset)
            for source, offset in sorted(starts.items())
        }
        self._arrivals: deque[TopicPartition] = deque()
        self._present: set[tuple[str, str]] = set()
        self._max_records = max_records
        self._max_bytes = max_bytes
        self._bytes = 0
        self.repeats_dropped = 0

    def __len__(self) -> int:
        return len(self._arrivals)

    @property
    def size_bytes(self) -> int:
        """What the held packets take."""
        return self._bytes

    @property
    def partitions(self) -> Mapping[TopicPartition, PartitionLog]:
        """The log of each partition."""
        return self._partitions

    def append(self, broadcast: Broadcast) -> bool:
        """Take in a broadcast; False if the same event is held for the same room."""
        partition = self._partitions[broadcast.source]
        partition.end = broadcast.offset + 1
        identity = (broadcast.id, broadcast.room)
        if identity in self._present:
            self.repeats_dropped += 1
            return False
        self._present.add(identity)
        self._arrivals.append(broadcast.source)
        self._bytes += broadcast.size
        partition.append(broadcast)
        self._shrink()
        return True

    def pass_over(self, source: TopicPartition, offset: int) -> None:
        """Go past a record that is no broadcast."""
        self._partitions[source].end = offset + 1

    def start_from_now(self) -> Start:
        """Begin behind everything held."""
        return Start(offsets={source: log.end for source, log in self._partitions.items()})

    def start_at_time(self, time_ms: int) -> Start:
        """Begin with the first held broadcast at or after a time."""
        return Start(
            offsets={source: log.offset_at(time_ms) for source, log in self._partitions.items()}
        )

    def start_from_cursor(self, cursor: Cursor, epochs: Mapping[str, str]) -> Start:
        """Begin where a client stopped; a partition it does not know is read from its start."""
        offsets: dict[TopicPartition, int] = {}
        gaps: list[Gap] = []
        for source, log in self._partitions.items():
            known = cursor.get(source)
            if known is None:
                offsets[source] = log.first
                continue
            # A node may be behind the one that gave the cursor: begin early, repeats are known.
            offsets[source] = min(known.offset, log.end)
            if known.epoch != epochs[source.topic]:
                offsets[source] = log.first
                gaps.append(
                    Gap(source=source, start=known.offset, stop=None, reason=GapReason.NEW_EPOCH)
                )
        return Start(offsets=offsets, gaps=tuple(gaps))

    def _shrink(self) -> None:
        while len(self._arrivals) > self._max_records or (
            self._bytes > self._max_bytes and len(self._arrivals) > 1
        ):
            oldest = self._partitions[self._arrivals.popleft()].evict()
            self._present.discard((oldest.id, oldest.room))
            self._bytes -= oldest.size


def history_starts(beginning: Offsets, end: Offsets, max_records: int) -> dict[TopicPartition, int]:
    """From where to read so that at most `max_records` are read, spread as the partitions are."""
    total = sum(end[source] - beginning[source] for source in end)
    if total <= max_records:
        return dict(beginning)
    return {
        source: end[source] - (end[source] - beginning[source]) * max_records // total
        for source in end
    }


def caught_up(log: BroadcastLog, end: Offsets) -> bool:
    """Whether the log has read everything up to these offsets."""
    return all(log.partitions[source].end >= offset for source, offset in end.items())
