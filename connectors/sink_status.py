"""What a running sink can say about itself: the step it is in, what it counted, why it waits."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from streams.histogram import RECORDS, Histogram
from streams.records import TopicPartition


class SinkStep(StrEnum):
    """The steps of a batch, in order. Each is announced once it is done."""

    JOINED = "joined"
    CLAIMED = "claimed"
    READ = "read"
    DEAD_LETTERED = "dead_lettered"
    STORED = "stored"
    COMMITTED = "committed"


KnownEnds = Callable[[], Mapping[TopicPartition, int]]

StepListener = Callable[[SinkStep], None]
"""Called in the sink's own flow, after each step."""


@dataclass(slots=True, kw_only=True)
class SinkStatus:
    """Counts since the start of this process. `waiting_for` is None while work goes on."""

    step: SinkStep | None = None
    waiting_for: str | None = None
    stored: int = 0
    repeated: int = 0
    dead_letters: int = 0
    fenced: int = 0
    interruptions: int = 0
    next: dict[int, int] = field(default_factory=dict)
    claimed: dict[int, int] = field(default_factory=dict)
    """Where partitions were to be stored from when they were assigned."""
    batches: Histogram = field(default_factory=lambda: Histogram(RECORDS))
    known_ends: KnownEnds = dict
    """Where the assigned partitions end."""

    def lag(self) -> Mapping[int, int]:
        """How many archived records of each assigned partition are not stored yet."""
        found: dict[int, int] = {}
        for source, end in self.known_ends().items():
            known = [
                it[source.partition] for it in (self.next, self.claimed) if source.partition in it
            ]
            if known:
                found[source.partition] = max(0, end - max(known))
        return found

    def as_mapping(self) -> Mapping[str, Any]:
        """For `/live`; ids and counts only, no addresses and no data."""
        return {
            "status": "waiting" if self.waiting_for else "running",
            "waiting_for": self.waiting_for,
            "step": self.step,
            "stored": self.stored,
            "repeated": self.repeated,
            "dead_letters": self.dead_letters,
            "fenced": self.fenced,
            "interruptions": self.interruptions,
            "next": {str(partition): offset for partition, offset in sorted(self.next.items())},
        }
