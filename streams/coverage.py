"""Which events a state holds: how each event is applied once, whatever is delivered how often.

Pure. It stands before the state in every record of a changelog, so that two records of one key can
be compared without reading their states.
"""

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from itertools import islice
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Self

import orjson

VERSION: Final = 2

LARGEST_MISSING: Final = 1_000
"""How many offsets per source may be known as not applied; beyond it the lowest is given up."""


NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})
"""Shared by the many entries that have nothing missing."""


def _nothing() -> Mapping[str, Any]:
    return NOTHING


@dataclass(slots=True, kw_only=True)
class Coverage:
    """The events of one entry.

    `positions` has the furthest offset per source partition, and the furthest place per stream of
    emitted events (streams/emission.py). `missing` has the offsets at or below it that were not
    applied, because their fold failed: they may be redriven. `recent` are ids from an entry of the
    first format, which had its own 256; each event that is applied replaces one. `generation` is
    the group's when the entry was written: a rebalance makes it higher.
    """

    positions: dict[str, int] = field(default_factory=dict)
    missing: Mapping[str, Set[int]] = field(default_factory=_nothing)
    recent: Mapping[str, None] = field(default_factory=_nothing)
    generation: int = 0

    def holds(self, source: str, offset: int) -> bool:
        """Whether what stands there was applied, or is known as a repeat of what was."""
        return offset <= self.positions.get(source, -1) and not self.misses(source, offset)

    def misses(self, source: str, offset: int) -> bool:
        """Whether what stands there was read, and not applied because its fold failed."""
        return bool(self.missing) and offset in self.missing.get(source, ())

    def advance(self, source: str, offset: int, stream: str | None, step: int) -> None:
        """What stands there is applied now; `step` is its place in the stream of emitted events."""
        positions = self.positions
        if offset > positions.get(source, -1):
            positions[source] = offset
        elif self.missing:
            self._found(source, offset)
        if stream is not None and step > positions.get(stream, -1):
            positions[stream] = step
        if self.recent:
            self.recent = dict.fromkeys(islice(self.recent, 1, None))

    def leave_out(self, source: str, offset: int, stream: str | None, step: int) -> int | None:
        """What stands there is not applied. Returns an older offset that had to be given up."""
        self.advance(source, offset, stream, step)
        offsets = {*self.missing.get(source, ()), offset}
        given_up = min(offsets) if len(offsets) > LARGEST_MISSING else None
        self.missing = {**self.missing, source: offsets - {given_up}}
        return given_up

    def _found(self, source: str, offset: int) -> None:
        offsets = self.missing.get(source, frozenset()) - {offset}
        others = {name: it for name, it in self.missing.items() if name != source}
        self.missing = {**others, source: offsets} if offsets else others

    def replaces(self, known: Self) -> bool:
        """Whether this one, which stands later in the changelog, is to be kept instead.

        A worker that has lost its partitions may write late: what it wrote lacks what the next
        owner has applied. The furthest holds everything; where each lacks something, all that was
        committed is in the one of the higher generation.
        """
        if not known.has_more_than(self):
            return True
        return self.has_more_than(known) and self.generation >= known.generation

    def has_more_than(self, other: Self) -> bool:
        """Whether some event is known here and not in the other."""
        if any(
            offset > other.positions.get(source, -1) for source, offset in self.positions.items()
        ):
            return True
        return any(
            self.holds(source, offset)
            for source, offsets in other.missing.items()
            for offset in offsets
        )

    def encode(self) -> bytes:
        """One line of JSON."""
        line = b'{"version":%d,"generation":%d,"positions":%b' % (
            VERSION,
            self.generation,
            orjson.dumps(self.positions),
        )
        if self.missing:
            missing = {source: sorted(offsets) for source, offsets in self.missing.items()}
            line += b',"missing":%b' % orjson.dumps(missing)
        if self.recent:
            line += b',"recent":%b' % orjson.dumps(list(self.recent))
        return line + b"}"

    @classmethod
    def decode(cls, line: bytes) -> Self:
        """Read the line; one of the first format too, which has the state in the same line."""
        stored: Mapping[str, Any] = orjson.loads(line)
        missing, recent = stored.get("missing"), stored.get("recent")
        return cls(
            positions=stored["positions"],
            missing=NOTHING if not missing else {name: set(it) for name, it in missing.items()},
            recent=NOTHING if not recent else dict.fromkeys(recent),
            generation=stored.get("generation", 0),
        )


class OneSource(NamedTuple):
    """The coverage of most entries: a position in one source, and nothing else.

    `beginning` is its line up to the position, which with two braces ends it.
    """

    source: str
    generation: int
    beginning: bytes

    @classmethod
    def of(cls, source: str, generation: int) -> Self:
        """What entries have that were written in this generation."""
        name = orjson.dumps(source)
        line = b'{"version":%d,"generation":%d,"positions":{%b:' % (VERSION, generation, name)
        return cls(source, generation, line)

    def coverage(self, position: int) -> Coverage:
        """The same as it can be changed; -1 for an entry without events."""
        positions = {} if position < 0 else {self.source: position}
        return Coverage(positions=positions, generation=self.generation)
