"""Projections.

A read model folded from events, one entry per key, each event applied exactly once.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from schemas.event import Event
from schemas.pattern import matches
from streams.emission import Emission
from streams.records import Origin

State = dict[str, Any]
Fold = Callable[[State, Event[Any]], State]
KeyOf = Callable[[Event[Any]], str]

RECENT_IDS: Final = 256
"""How many event ids an entry remembers: so many later events may lie between two copies of one.

It bounds what a producer may publish twice. What handlers emit again after a crash is not bounded
by it: such events are known by their place (streams/emission.py).
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """A named fold.

    `key` is None when the entry's key is the record's own key (no repartition needed).
    """

    name: str
    patterns: tuple[str, ...]
    fold: Fold
    initial: Callable[[], State]
    key: KeyOf | None = None

    def wants(self, event_type: str) -> bool:
        """Whether events of this type are folded."""
        return any(matches(pattern, event_type) for pattern in self.patterns)


@dataclass(slots=True, kw_only=True)
class Entry:
    """The state of one key, with what is needed to drop repeats.

    All of it travels in the changelog.

    `positions` has the last applied offset per source partition: a record at or below it was
    applied before. The same event written twice to the log stands at two offsets: `positions` has
    the furthest place per stream of emitted events too, and `recent` the last ids of all events.
    `generation` is the group's when the entry was written: a rebalance makes it higher.
    """

    state: State
    positions: dict[str, int] = field(default_factory=dict)
    recent: dict[str, None] = field(default_factory=dict)
    generation: int = 0

    def is_repeat(self, event_id: str, origin: Origin, emission: Emission | None = None) -> bool:
        """Whether this event was applied to this entry before."""
        return event_id in self.recent or any(
            place <= self.positions.get(stream, -1)
            for stream, place in _places(origin, emission).items()
        )

    def applied(self, event_id: str, origin: Origin, emission: Emission | None = None) -> None:
        """Remember that the event is in `state` now."""
        self.positions.update(_places(origin, emission))
        self.recent[event_id] = None
        while len(self.recent) > RECENT_IDS:
            del self.recent[next(iter(self.recent))]

    def replaces(self, known: "Entry") -> bool:
        """Whether this one, which stands later in the changelog, is to be kept instead.

        A worker that has lost its partitions may write late: what it wrote lacks what the next
        owner has applied. The entry with the furthest positions holds everything; where each lacks
        something, all that was committed is in the one of the higher generation.
        """
        if not known.has_more_than(self):
            return True
        return self.has_more_than(known) and self.generation >= known.generation

    def has_more_than(self, other: "Entry") -> bool:
        """Whether some event is applied here and not in the other."""
        return any(
            offset > other.positions.get(source, -1) for source, offset in self.positions.items()
        )

    def encode(self) -> bytes:
        """The table's value, JSON."""
        return orjson.dumps(
            {
                "state": self.state,
                "positions": self.positions,
                "recent": list(self.recent),
                "generation": self.generation,
            }
        )

    @classmethod
    def decode(cls, value: bytes) -> "Entry":
        """Read a table's value."""
        stored: Mapping[str, Any] = orjson.loads(value)
        return cls(
            state=stored["state"],
            positions=dict(stored["positions"]),
            recent=dict.fromkeys(stored["recent"]),
            generation=stored.get("generation", 0),
        )


def _places(origin: Origin, emission: Emission | None) -> dict[str, int]:
    """Where a record stands, by what is in order: its partition, and the stream within that."""
    places = {str(origin.source): origin.offset}
    if emission is not None:
        places[f"{origin.source}<{emission.stream}"] = emission.place
    return places
