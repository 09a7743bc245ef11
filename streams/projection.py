"""Projections.

A read model folded from events, one entry per key, each event applied exactly once.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, NamedTuple

import orjson

from schemas.event import Event
from schemas.pattern import matches
from streams.coverage import Coverage

State = dict[str, Any]
Fold = Callable[[State, Event[Any]], State]
KeyOf = Callable[[Event[Any]], str]

NO_STATE: Final = b"null"
"""Stands for the state of a key whose events have all failed so far: it is shown to nobody."""


class KeptIn(StrEnum):
    """Where the entries of a projection are kept."""

    TABLE = "table"
    """In the workers' memory, with a changelog in Kafka: an answer costs no database."""
    POSTGRES = "postgres"
    """In rows beside the event store: for SQL, and for rebuilds beside the live version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """A named fold.

    `key` is None when the entry's key is the record's own key (no repartition needed). `revision`
    is raised when the fold changes: rows of one revision are never folded further by another.
    """

    name: str
    patterns: tuple[str, ...]
    fold: Fold
    initial: Callable[[], State]
    key: KeyOf | None = None
    kept_in: KeptIn = KeptIn.TABLE
    revision: int = 1

    def key_of(self, event: Event[Any]) -> str:
        """The key of the entry that an event belongs to. Raises what the team's function raises."""
        return event.key if self.key is None else self.key(event)

    def wants(self, event_type: str) -> bool:
        """Whether events of this type are folded."""
        return any(matches(pattern, event_type) for pattern in self.patterns)


@dataclass(slots=True, kw_only=True)
class Entry:
    """The state of one key, with the events that it holds. All of it travels in the changelog."""

    state: State
    coverage: Coverage = field(default_factory=Coverage)

    def encode(self) -> bytes:
        """The table's value: a line of JSON with the coverage, and a line with the state."""
        return joined(self.coverage, orjson.dumps(self.state))

    @classmethod
    def decode(cls, value: bytes) -> "Entry":
        """Read a table's value; also one of the first format. Without a state it is empty."""
        parts = split(value)
        return cls(state=orjson.loads(parts.state) or {}, coverage=Coverage.decode(parts.coverage))


class EntryLines(NamedTuple):
    """An entry as it is stored. No line holds a line break: JSON escapes them."""

    coverage: bytes
    state: bytes


def joined(coverage: Coverage, state: bytes) -> bytes:
    """The table's value of a coverage and an encoded state."""
    return b"%b\n%b" % (coverage.encode(), state)


def split(value: bytes) -> EntryLines:
    """Take a table's value apart and decode nothing; one of the first format is decoded."""
    coverage, line_break, state = value.partition(b"\n")
    if not line_break:
        return EntryLines(value, orjson.dumps(orjson.loads(value)["state"]))
    return EntryLines(coverage, state)


def is_shown(value: bytes) -> bool:
    """Whether the entry has a state."""
    return not value.endswith(b"\n" + NO_STATE)
