"""The ends of a topic: where each begins, and the checksum of what is in it. Pure.

A run that needs n events reads the last n of one topic: it is filled once for all systems.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Self

from benchmarks.contract import MODULUS
from benchmarks.rounds import Supply


@dataclass(frozen=True, slots=True, kw_only=True)
class Suffix:
    """The last events of a topic: the first offset in each partition, and their checksum."""

    starts: tuple[int, ...]
    checksum: int


@dataclass(slots=True)
class SuffixIndex:
    """Built while a topic is filled: one mark every `step` events, the first before any event."""

    partitions: int
    step: int
    counts: list[int] = field(init=False)
    checksum: int = 0
    marks: list[tuple[tuple[int, ...], int]] = field(default_factory=list)
    _events: int = 0

    def __post_init__(self) -> None:
        self.counts = [0] * self.partitions
        if not self.marks:
            self._mark()

    def add(self, partition: int, event_sum: int) -> None:
        """One event was written, in the order of the topic."""
        self.counts[partition] += 1
        self.checksum = (self.checksum + event_sum) % MODULUS
        self._events += 1
        if self._events % self.step == 0:
            self._mark()

    @property
    def supply(self) -> Supply:
        """What the whole steps of the topic hold."""
        return Supply(events=(len(self.marks) - 1) * self.step, step=self.step)

    @property
    def ends(self) -> tuple[int, ...]:
        """The offset after the last event of the whole steps, per partition."""
        return self.marks[-1][0]

    def suffix(self, events: int) -> Suffix:
        """The last `events`, a multiple of `step`. Raises ValueError for any other number."""
        if events % self.step or not 0 < events <= self.supply.events:
            raise ValueError(f"{events} are no whole steps of {self.step} within {self.supply}")
        starts, before = self.marks[-1 - events // self.step]
        return Suffix(starts=starts, checksum=(self.marks[-1][1] - before) % MODULUS)

    def to_json(self) -> dict[str, Any]:
        """All of it, for a file."""
        return {"partitions": self.partitions, "step": self.step, "marks": self.marks}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        """An index that is complete: nothing more is added."""
        marks = [(tuple(starts), checksum) for starts, checksum in content["marks"]]
        return cls(content["partitions"], content["step"], marks=marks)

    def _mark(self) -> None:
        self.marks.append((tuple(self.counts), self.checksum))
