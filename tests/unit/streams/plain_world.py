"""A batch whose plain events are folded by one form, and what there is to be read."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any, Final

from schemas.envelope import Aggregate
from schemas.event import Event
from streams.claims import Claim, Claims
from streams.coverage import Coverage, OneSource
from streams.emission import EMISSION
from streams.one_source import OneSourceEntries
from streams.open_table import BEYOND
from streams.plain_events import PlainEvents
from streams.projection import State
from streams.records import LATE, ORIGIN, Headers, RawRecord
from streams.table import END_OF_ONE, Changes, MemoryTable, OpenEntry
from tests.unit.streams.folding_forms import Form
from tests.unit.streams.tabling import PARTITION, event

SOURCE: Final = "t/3"
EXPECTED: Final = OneSource.of(SOURCE, 0)
USUAL_KEYS: Final = (b"a", b"b", b"c", b"")
UNOPENED: Final = b"unopened"
"""A key whose entry cannot be opened by anybody."""

Part = Sequence[tuple[RawRecord, Event[Any]]]


class Unopened(Exception):
    """The entry cannot be opened."""


class Unfolded(Exception):
    """The event cannot be folded."""


def stored(position: int) -> bytes:
    return EXPECTED.beginning + b"%d" % position + END_OF_ONE + b'{"ids":[]}'


class World:
    """A batch of one form: what its entries, claims and folds are."""

    def __init__(
        self,
        form: Form,
        values: dict[bytes, bytes] | None = None,
        seen: Sequence[Iterable[str]] = (),
        *,
        has_versions: bool = True,
    ) -> None:
        partition = MemoryTable("changelog").partition(PARTITION)
        partition.store(Changes(values or {}))
        self.partition = partition
        self.opened: dict[bytes, OpenEntry] = {}
        self.ahead: dict[OpenEntry, None] = {}
        self.claims: Claims = form.claims()
        self.seen = tuple(form.claims() for _ in seen)
        for claims, ids in zip(self.seen, seen, strict=True):
            for id_ in ids:
                claims.put(id_, "earlier/1", 7)
        self.entries: OneSourceEntries = form.entries(partition, EXPECTED, dict)
        self.events: PlainEvents = form.events(
            self.entries,
            self.opened,
            self.ahead,
            self.claims,
            self.seen,
            has_versions=has_versions,
        )

    def open_singly(self, key: bytes) -> OpenEntry:
        """What is not of one source: keys say how far it reaches."""
        if key == UNOPENED or not key.isascii():
            raise Unopened(key)
        entry = self.partition.take(key) or OpenEntry(Coverage(), None)
        entry.state = {"singly": True}
        entry.reach = entry.reach_in(EXPECTED, BEYOND)
        return entry

    def open(self, part: Part) -> Sequence[OpenEntry] | None:
        return self.events.open(
            SOURCE, [record for record, _ in part], [event for _, event in part], self.open_singly
        )

    def fold(self, part: Part, opened: Sequence[OpenEntry]) -> None:
        self.events.fold(
            note, checked, [record for record, _ in part], [it for _, it in part], opened
        )

    def states(self) -> dict[bytes, tuple[State, int]]:
        return {key: (entry.state, entry.reach) for key, entry in self.opened.items()}

    def keys_ahead(self) -> list[bytes]:
        """In the order in which their entries were noted."""
        by_entry = {entry: key for key, entry in self.opened.items()}
        return [by_entry[entry] for entry in self.ahead]

    def places(self) -> dict[str, Claim]:
        return dict(self.claims.items())


def note(state: State, happened: Event[Any]) -> State:
    """Note the id; the source of an event says how that ends."""
    match happened.source:
        case "raises":
            state["begun"] = True
            raise Unfolded(happened.id)
        case "another":
            return {"after": happened.id}
        case "no state":
            return None  # type: ignore[return-value]  # on purpose
        case "odd":
            return OrderedDict(odd=happened.id)
    state.setdefault("ids", []).append(happened.id)
    return state


def checked(state: object) -> State:
    """Says that it was asked."""
    if not isinstance(state, dict):
        raise Unfolded(f"{state!r} is no state")
    state["checked"] = True
    return state


def read(offset: int, key: bytes | None = b"a", headers: Headers = ()) -> RawRecord:
    return RawRecord("t", PARTITION, offset, 0, key, b"", headers)


def appended(number: int, version: int | None) -> Event[Any]:
    happened = event(number)
    return Event(happened.envelope._replace(aggregate=Aggregate("Account", "a", version)), dict)


VALUES: Final = {
    b"reached": stored(3),
    b"c": stored(0),
    b"missing": Coverage(positions={SOURCE: 2}, missing={SOURCE: {1}}).encode() + b"\n{}",
    b"recent": Coverage(positions={SOURCE: 0}, recent={"id": None}).encode() + b"\n{}",
    b"far": Coverage(positions={SOURCE: 2**64 - 1}).encode() + b"\n{}",
}


UNPLAIN: Final = {
    "a copy": (read(5, b"a", ((ORIGIN, b"u/1/1"),)), event(5)),
    "an emitted event": (read(5, b"a", (("x", b""), (EMISSION, b"1"))), event(5)),
    "a late copy": (read(5, b"a", ((LATE, b""), ("x", b""))), event(5)),
    "seen in this batch": (read(5), event(0)),
    "seen in this part": (read(5), event(1)),
    "seen lately": (read(5), event(100)),
    "seen long ago": (read(5), event(200)),
    "read before": (read(3, b"reached"), event(5)),
    "read long before": (read(0, b"reached"), event(5)),
    "maybe read before": (read(9, b"recent"), event(5)),
    "further than an offset can be": (read(9, b"far"), event(5)),
    "of an aggregate": (read(5), appended(5, 1)),
    "of an aggregate without versions": (read(5), appended(5, 0)),
}
