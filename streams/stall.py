"""Finding a partition whose work stands still while there is work to do. Pure.

A consumer that looks alive and has stopped is the failure that nothing else reports: the group has
its heartbeats, the process has its pages, and the lag grows.
"""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from streams.records import TopicPartition

STALL_AFTER_S: Final = 20.0
"""How long a partition may stand still with work waiting: named within thirty seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How far the work on a partition is: all below `position` is done, `end` is the log's.

    `in_hand` is whatever differs when another event of the same batch is worked on.
    """

    subscription: str
    source: TopicPartition
    position: int
    end: int
    in_hand: Hashable = None

    @property
    def lag(self) -> int:
        """How many offsets are not done."""
        return max(0, self.end - self.position)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stall:
    """A partition that stands still although there is work."""

    standing: Standing
    for_s: float
    """How long it has been at this position with work to do, in seconds."""


class StallDetector:
    """Fed with where all partitions of a subscription stand, again and again."""

    def __init__(self, stall_after_s: float = STALL_AFTER_S) -> None:
        self._stall_after_s = stall_after_s
        self._stood: dict[TopicPartition, tuple[Hashable, float]] = {}
        self._looked_at = 0.0

    def look(self, standings: Iterable[Standing], now: float) -> Sequence[Stall]:
        """The partitions that have stood still for too long at `now`, in seconds.

        Partitions that are not among `standings` are forgotten: they belong to others, or wait for
        a reason that is known.
        """
        stood: dict[TopicPartition, tuple[Hashable, float]] = {}
        stalls: list[Stall] = []
        for standing in standings:
            if not standing.lag:
                continue
            place = (standing.position, standing.in_hand)
            stood_at, since = self._stood.get(standing.source, (None, now))
            if stood_at != place:
                since = now
            stood[standing.source] = (place, since)
            if now - since >= self._stall_after_s:
                stalls.append(Stall(standing=standing, for_s=now - since))
        self._stood, self._looked_at = stood, now
        return stalls

    def skip(self, now: float) -> None:
        """Nobody knows how far the partitions are: this time counts for none of them."""
        passed = now - self._looked_at
        self._stood = {
            source: (place, since + passed) for source, (place, since) in self._stood.items()
        }
        self._looked_at = now

    def forget(self) -> None:
        """Nothing is read at the moment."""
        self._stood = {}
