"""Projections.

A read model folded from events, one entry per key, each event applied exactly once.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from schemas.event import Event
from schemas.pattern import matches
from streams.records import Origin

State = dict[str, Any]
Fold = Callable[[State, Event[Any]], State]
KeyOf = Callable[[Event[Any]], str]

RECENT_IDS: Final = 256
"""How many event ids an entry remembers: more than one aggregate can have unfinished at a crash."""


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
    applied before. `recent` has the last ids: the same event written twice to the log stands at two
    offsets.
    """

    state: State
    positions: dict[str, int] = field(default_factory=dict)
    recent: dict[str, None] = field(default_factory=dict)

    def is_repeat(self, event_id: str, origin: Origin) -> bool:
        """Whether this event was applied to this entry before."""
        return event_id in self.recent or origin.offset <= self.positions.get(
            str(origin.source), -1
        )

    def applied(self, event_id: str, origin: Origin) -> None:
        """Remember that the event is in `state` now."""
        self.positions[str(origin.source)] = origin.offset
        self.recent[event_id] = None
        while len(self.recent) > RECENT_IDS:
            del self.recent[next(iter(self.recent))]

    def encode(self) -> bytes:
        """The table's value, JSON."""
        return orjson.dumps(
            {"state": self.state, "positions": self.positions, "recent": list(self.recent)}
        )

    @classmethod
    def decode(cls, value: bytes) -> "Entry":
        """Read a table's value."""
        stored: Mapping[str, Any] = orjson.loads(value)
        return cls(
            state=stored["state"],
            positions=dict(stored["positions"]),
            recent=dict.fromkeys(stored["recent"]),
        )
