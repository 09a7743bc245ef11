"""Which of the records that a rebalance leaves in flight may be taken: each once, none left out.

Around a rebalance Faust delivers records that were fetched for an earlier assignment, before
tables are recovered, or before a seek, and drops others. So offsets are followed here: a partition
is taken from where its work begins, in order, and a jump is believed only when the log shows it
again and again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from streams.records import TopicPartition

READINGS: Final = 5
"""How often the log must show a jump: more often than copies of a record can be in flight."""


class Verdict(Enum):
    """What to do with a record."""

    TAKE = auto()
    """It is the next one."""

    LEAVE = auto()
    """It was taken before, will come again, or is not ours."""

    READ_AGAIN = auto()
    """Records before it are missing: leave it and read from `next_offset`."""


@dataclass(slots=True)
class _Jump:
    """A record at `to` came too early; how often the log was read again and showed it first."""

    to: int
    asked: int = 0


class Intake:
    """Follows the partitions of one member. Pure: it seeks and reads nothing itself."""

    def __init__(self) -> None:
        self._next: dict[TopicPartition, int] = {}
        self._jumps: dict[TopicPartition, _Jump] = {}
        self._left: set[TopicPartition] = set()
        self._assignment = 0
        self._open = False

    @property
    def assignment(self) -> int:
        """Which assignment is in force: another number after each `close`."""
        return self._assignment

    @property
    def is_open(self) -> bool:
        """Whether records are taken."""
        return self._open

    def open(self, starts: Mapping[TopicPartition, int]) -> frozenset[TopicPartition]:
        """Tables are recovered and reading was sought to `starts`: records may be taken.

        The answer names the partitions whose records came too early: read them again.
        """
        self._next = dict(starts)
        self._open = True
        early, self._left = frozenset(self._left & self._next.keys()), set()
        return early

    def close(self) -> None:
        """Partitions are being given up: nothing is taken until the next `open`."""
        self._assignment += 1
        self._open = False
        self._next.clear()
        self._jumps.clear()
        self._left.clear()

    def next_offset(self, source: TopicPartition) -> int | None:
        """Where a partition is read next; None when it is not ours at the moment."""
        return self._next.get(source)

    def judge(self, source: TopicPartition, offset: int) -> Verdict:
        """What to do with a record; TAKE counts as taken."""
        if not self._open:
            self._left.add(source)
            return Verdict.LEAVE
        expected = self._next.get(source)
        if expected is None or offset < expected:
            return Verdict.LEAVE
        if offset > expected and not self._is_hole(source, offset):
            return self._ask(source, offset)
        self._next[source] = offset + 1
        self._jumps.pop(source, None)
        return Verdict.TAKE

    def asked(self, source: TopicPartition) -> None:
        """The partition was sought to `next_offset`: what comes now is what the log holds."""
        jump = self._jumps.get(source)
        if jump is not None:
            jump.asked += 1

    def _is_hole(self, source: TopicPartition, offset: int) -> bool:
        jump = self._jumps.get(source)
        return jump is not None and jump.asked >= READINGS and jump.to == offset

    def _ask(self, source: TopicPartition, offset: int) -> Verdict:
        """Read again for the earliest jump only; what stands behind it comes again with it."""
        jump = self._jumps.get(source)
        if jump is not None and offset > jump.to:
            return Verdict.LEAVE
        if jump is None or offset < jump.to:
            self._jumps[source] = _Jump(offset)
        return Verdict.READ_AGAIN
