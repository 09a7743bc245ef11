"""Plain events that are folded in C beside those that are folded in Python: the same in the end."""

from __future__ import annotations

import gc
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from weakref import ref

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.envelope import Aggregate
from schemas.event import Event
from streams import native
from streams.claims import Claim, Claims
from streams.coverage import Coverage, OneSource
from streams.emission import EMISSION
from streams.one_source import OneSourceEntries
from streams.open_table import BEYOND
from streams.plain_events import OTHER_PLACES, PlainEvents
from streams.projection import State
from streams.records import LATE, ORIGIN, Headers, RawRecord
from streams.table import END_OF_ONE, Changes, MemoryTable, OpenEntry
from tests.unit.parts_in_c import can_be_built
from tests.unit.streams.folding_forms import FORMS, Form, answer, each_form, needs_c
from tests.unit.streams.tabling import PARTITION, event, event_id, named

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
        self.claims: Claims = form.claims()
        self.seen = tuple(form.claims() for _ in seen)
        for claims, ids in zip(self.seen, seen, strict=True):
            for id_ in ids:
                claims.put(id_, "earlier/1", 7)
        self.entries: OneSourceEntries = form.entries(partition, EXPECTED, dict)
        self.events: PlainEvents = form.events(
            self.entries, self.opened, self.claims, self.seen, has_versions=has_versions
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
    if not isinstance(state, dict):
        raise Unfolded(f"{state!r} is no state")
    return state


def read(offset: int, key: bytes | None = b"a", headers: Headers = ()) -> RawRecord:
    return RawRecord("t", PARTITION, offset, 0, key, b"", headers)


def appended(number: int, version: int | None) -> Event[Any]:
    happened = event(number)
    return Event(happened.envelope._replace(aggregate=Aggregate("Account", "a", version)), dict)


usual_headers = st.sampled_from([(), (), (("ce_type", b"x"),), (("a", b""), ("b", b""))])
other_headers = st.sampled_from([ORIGIN, EMISSION, LATE]).map(
    lambda name: (("ce_type", b"x"), (name, b"1"))
)
keys = st.sampled_from([*USUAL_KEYS * 3, None, b"reached", b"reached", b"missing", b"recent"])
odd_keys = st.sampled_from([UNOPENED, b"\xff"])
ways = st.sampled_from(["good"] * 8 + ["another", "odd", "raises", "no state"])

VALUES: Final = {
    b"reached": stored(3),
    b"c": stored(0),
    b"missing": Coverage(positions={SOURCE: 2}, missing={SOURCE: {1}}).encode() + b"\n{}",
    b"recent": Coverage(positions={SOURCE: 0}, recent={"id": None}).encode() + b"\n{}",
    b"far": Coverage(positions={SOURCE: 2**64 - 1}).encode() + b"\n{}",
}


@st.composite
def events_in(draw: st.DrawFn) -> Event[Any]:
    number = draw(st.integers(0, 60))
    happened = event(number, draw(ways))
    aggregate = draw(
        st.sampled_from([None] * 20 + [Aggregate("A", "a", None)] * 6 + [Aggregate("A", "a", 1)])
    )
    return Event(happened.envelope._replace(aggregate=aggregate), dict)


@st.composite
def parts(draw: st.DrawFn) -> list[Part]:
    """Parts of a batch: most are plain."""
    offset = draw(st.integers(0, 4))
    made: list[Part] = []
    for _ in range(draw(st.integers(1, 3))):
        part = []
        kind = draw(st.sampled_from(["plain"] * 4 + ["headers", "keys", "backwards"]))
        for _ in range(draw(st.integers(0, 7))):
            headers = draw(usual_headers if kind != "headers" else usual_headers | other_headers)
            key = draw(keys if kind != "keys" else keys | odd_keys)
            part.append((read(offset, key, headers), draw(events_in())))
            step = st.integers(1, 3) if kind != "backwards" else st.integers(-2, 3)
            offset = max(0, offset + draw(step))
        made.append(part)
    return made


def test_they_are_built_where_a_compiler_is() -> None:
    assert native.AVAILABLE or not can_be_built()


@dataclass(frozen=True)
class Done:
    """What a form has answered to one part, and what stands then."""

    opened: Any
    folded: Any
    places: dict[str, Claim]
    states: dict[bytes, tuple[State, int]]


def done(world: World, part: Part) -> Done:
    before = world.places()
    opened = answer(world.open, part)
    if not isinstance(opened, list):
        assert world.places() == before
        return Done(opened, None, before, world.states())
    for (record, happened), entry in zip(part, opened, strict=True):
        assert entry is world.opened[record.key or b""]
        assert happened.id not in before
        assert world.claims.get(happened.id) == (SOURCE, record.offset)
    folded = answer(world.fold, part, opened)
    return Done("opened", folded, world.places(), world.states())


@given(
    batch=parts(),
    seen=st.lists(st.lists(st.integers(0, 60).map(event_id), max_size=2), max_size=2),
    has_versions=st.booleans(),
)
@settings(max_examples=400)
def test_every_form_opens_and_folds_the_same(
    batch: list[Part], seen: list[list[str]], *, has_versions: bool
) -> None:
    worlds = [World(form, VALUES, seen, has_versions=has_versions) for form in FORMS]
    for part in batch:
        first, *rest = [done(world, part) for world in worlds]
        for found in rest:
            assert found.folded == first.folded
            assert found.places == first.places
            if first.opened == "opened" or found.opened == "opened":
                assert found.opened == first.opened
            elif found.opened != first.opened:
                # One is not plain and one cannot be opened: either may be met first.
                assert found.opened[0] is Unopened
            for key in first.states.keys() & found.states.keys():
                assert found.states[key] == first.states[key]


@each_form
def test_plain_events_are_folded_into_their_entries(form: Form) -> None:
    world = World(form, {b"b": stored(4)}, [[event_id(8)], [event_id(9)]])
    part = [
        (read(5, b"a"), event(1)),
        (read(7, None), event(2)),
        (read(8, b"a", (("ce_type", b"x"),)), event(3)),
        (read(9, b"b"), event(4)),
        (read(10, b""), appended(5, None)),
    ]
    opened = world.open(part)
    assert opened is not None
    assert [*map(id, opened)] == [id(world.opened[key]) for key in (b"a", b"", b"a", b"b", b"")]
    assert {key: entry.reach for key, entry in world.opened.items()} == {b"a": -1, b"": -1, b"b": 4}
    assert world.places() == {
        event_id(number): (SOURCE, at) for number, at in enumerate((5, 7, 8, 9, 10), 1)
    }
    world.fold(part, opened)
    assert world.states() == {
        b"a": ({"ids": [event_id(1), event_id(3)]}, 8),
        b"": ({"ids": [event_id(2), event_id(5)]}, 10),
        b"b": ({"ids": [event_id(4)]}, 9),
    }
    assert all(entry.position < entry.reach for entry in world.opened.values())
    assert [entry.is_changed for entry in world.opened.values()] == [False] * 3


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


@each_form
@pytest.mark.parametrize("kind", UNPLAIN)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_what_is_not_plain_claims_nothing(form: Form, kind: str, place: int) -> None:
    assert {ORIGIN, EMISSION, LATE} == OTHER_PLACES
    world = World(form, VALUES, [[event_id(100)], [event_id(200)]])
    assert world.open([(read(0, b"z"), event(0))]) is not None
    before = {event_id(0): (SOURCE, 0)}
    part = [(read(4, b"x"), event(1)), (read(6, b"y"), event(2))]
    part.insert(place, UNPLAIN[kind])
    assert world.open(part) is None
    assert world.places() == before
    assert [*map(len, world.seen)] == [1, 1]
    again = [(read(4, b"x"), event(1)), (read(6, b"y"), event(2))]
    assert world.open(again) is not None
    assert world.places() == before | {event_id(1): (SOURCE, 4), event_id(2): (SOURCE, 6)}


@each_form
def test_an_event_of_an_aggregate_is_plain_where_versions_tell_nothing(form: Form) -> None:
    world = World(form, has_versions=False)
    assert world.open([(read(5), appended(5, 1))]) is not None


@each_form
@pytest.mark.parametrize(("offset", "is_plain"), [(2, False), (3, False), (4, True)])
def test_an_event_is_plain_where_it_lies_above_what_its_entry_holds(
    form: Form, offset: int, is_plain: bool
) -> None:
    world = World(form, VALUES)
    part = [(read(offset, b"reached"), event(1))]
    opened = world.open(part)
    assert (opened is not None) == is_plain
    if opened is not None:
        world.fold(part, opened)
        assert world.open([(read(4, b"reached"), event(2))]) is None
        assert world.open([(read(5, b"reached"), event(2))]) is not None


@each_form
@pytest.mark.parametrize("key", [UNOPENED, b"\xff"])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_what_opening_an_entry_raises_is_raised_and_claims_nothing(
    form: Form, key: bytes, place: int
) -> None:
    world = World(form, {UNOPENED: b"another format"})
    part = [(read(4, b"x"), event(1)), (read(6, b"y"), event(2))]
    part.insert(place, (read(5, key), event(3)))
    with pytest.raises(Unopened):
        world.open(part)
    assert world.places() == {}
    assert key not in world.opened


@each_form
def test_an_entry_that_is_open_already_is_not_opened_again(form: Form) -> None:
    world = World(form, VALUES)
    known = OpenEntry(Coverage(), None)
    known.reach, known.state = 4, {}
    world.opened[b"reached"] = known
    assert world.open([(read(4, b"reached"), event(1))]) is None
    assert world.open([(read(5, b"reached"), event(1))]) == [known]


@each_form
@pytest.mark.parametrize("way", ["raises", "no state"])
def test_what_stands_before_a_fold_that_fails_is_folded(form: Form, way: str) -> None:
    world = World(form)
    part = [
        (read(1, b"a"), event(1)),
        (read(2, b"b"), event(2, "another")),
        (read(3, b"a"), event(3, way)),
        (read(4, b"b"), event(4)),
    ]
    opened = world.open(part)
    assert opened is not None
    with pytest.raises(Unfolded):
        world.fold(part, opened)
    begun = {"begun": True} if way == "raises" else {}
    assert world.states() == {
        b"a": ({"ids": [event_id(1)]} | begun, 1),
        b"b": ({"after": event_id(2)}, 2),
    }
    assert len(world.claims) == 4


@each_form
def test_a_state_of_another_class_is_the_one_that_was_checked(form: Form) -> None:
    world = World(form)
    part = [(read(1), event(1, "odd"))]
    opened = world.open(part)
    assert opened is not None
    world.fold(part, opened)
    assert world.states() == {b"a": (OrderedDict(odd=event_id(1)), 1)}
    assert type(opened[0].state) is OrderedDict


@each_form
@pytest.mark.parametrize("records", [0, 1, 3])
def test_records_and_events_that_do_not_belong_together_claim_nothing(
    form: Form, records: int
) -> None:
    world = World(form)
    events = [event(1), event(2)]
    with pytest.raises(ValueError):  # noqa: PT011  # each form has words of its own
        world.events.open(SOURCE, [read(at) for at in range(records)], events, world.open_singly)
    assert world.places() == {}


@each_form
def test_nothing_is_opened_where_nothing_was_read(form: Form) -> None:
    world = World(form)
    assert world.open([]) == []
    world.fold([], [])
    assert (world.states(), world.places()) == ({}, {})


@each_form
def test_sources_are_those_that_were_told(form: Form) -> None:
    world = World(form)
    for number, source in enumerate(["t/3", "t/4", "t/3", "".join(["t/", "4"])]):
        key = b"%d" % number
        assert world.events.open(source, (read(9, key),), (event(number),), world.open_singly)
    assert {place for place, _ in world.places().values()} == {"t/3", "t/4"}
    assert [world.places()[event_id(at)][0] for at in range(4)] == ["t/3", "t/4"] * 2


@each_form
def test_an_unusual_id_is_claimed_or_left_to_whoever_looks_at_events_singly(form: Form) -> None:
    world = World(form, VALUES, [["unusual"], []])
    assert world.open([(read(5), event(1)), (read(6), named("unusual"))]) is None
    part = [(read(5), event(1)), (read(6), named("another"))]
    opened = world.open(part)
    if opened is None:
        assert form is FORMS[-1]
        assert world.places() == {}
    else:
        assert world.places() == {event_id(1): (SOURCE, 5), "another": (SOURCE, 6)}


def altered(good: Any, **fields: Any) -> Any:
    """With fields that are no such fields."""
    return good._replace(**fields)


@needs_c
@pytest.mark.parametrize(
    "pair",
    [
        (("t", 3, 5), event(1)),
        (read(5), None),
        (read(5), named(b"bytes")),  # type: ignore[arg-type]  # on purpose
        (altered(read(5), headers=[]), event(1)),
        (altered(read(5), headers=((1, 2, 3),)), event(1)),
        (altered(read(5), headers=(["name", b""],)), event(1)),
        (altered(read(5), offset=5.0), event(1)),
        (read(2**63), event(1)),
        (read(5), Event(altered(event(1).envelope, aggregate=("a", "b")), dict)),
        (read(5), Event(altered(event(1).envelope, aggregate=1), dict)),
    ],
)
@pytest.mark.parametrize("place", [0, 1])
def test_what_is_out_of_the_ordinary_is_left_to_python(pair: Any, place: int) -> None:
    world = World(FORMS[-1])
    part = [(read(0, b"z"), event(9))]
    part.insert(place, pair)
    assert world.open(part) is None
    assert world.places() == {}


@needs_c
def test_an_event_without_an_id_is_left_to_python() -> None:
    world = World(FORMS[-1])
    empty = Event.__new__(Event)
    assert world.open([(read(0, b"z"), event(9)), (read(1), empty)]) is None
    world = World(FORMS[-1], has_versions=False)
    assert world.open([(read(0, b"z"), event(9)), (read(1), empty)]) is None
    assert world.places() == {}


@needs_c
def test_an_id_that_goes_away_while_entries_are_opened_does_no_harm() -> None:
    world, going = World(FORMS[-1]), event(1)

    def open_singly(_key: bytes) -> OpenEntry:
        del going._id
        raise Unopened

    with pytest.raises(Unopened):
        world.events.open(SOURCE, [read(1), read(2, b"\xff")], [going, event(2)], open_singly)


@needs_c
def test_what_opens_entries_must_give_entries() -> None:
    world = World(FORMS[-1])
    wrong: Any = {b"\xff": {}, b"a": {}}.get
    with pytest.raises(TypeError, match="no open entry"):
        world.events.open(SOURCE, [read(1), read(2, b"\xff")], [event(1), event(2)], wrong)
    assert world.places() == {}
    unset = OpenEntry(Coverage(), None)
    assert world.events.open(SOURCE, [read(1, b"\xff")], [event(1)], lambda _key: unset) is None


@needs_c
def test_a_part_is_folded_only_with_what_belongs_to_it() -> None:
    world = World(FORMS[-1])
    part = [(read(1), event(1)), (read(2), event(2))]
    opened: Any = world.open(part)
    for wrong in (opened[:1], [], [opened[0], None], [opened[0], {}]):
        with pytest.raises((TypeError, ValueError)):
            world.fold(part, wrong)
    with pytest.raises(TypeError):
        world.fold([(("t",), event(1))], opened[:1])  # type: ignore[list-item]  # on purpose
    with pytest.raises(ValueError, match="an event and an entry"):
        world.events.fold(note, checked, [read(1)], [], opened[:1])
    with pytest.raises(AttributeError):
        world.fold(part[:1], [OpenEntry(Coverage(), None)])


@needs_c
@pytest.mark.parametrize(
    "ask",
    [
        lambda events: events.open(SOURCE, [], []),
        lambda events: events.open(SOURCE, [], [], print, 1),
        lambda events: events.open(b"t/3", [], [], print),
        lambda events: events.open(SOURCE, None, [], print),
        lambda events: events.open(SOURCE, [], 1, print),
        lambda events: events.fold(note, checked, [], []),
        lambda events: events.fold(note, checked, None, [], []),
        lambda events: events.fold(note, checked, [], None, []),
        lambda events: events.fold(note, checked, [], [], None),
    ],
)
def test_other_arguments_are_refused_in_c(ask: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError):
        ask(World(FORMS[-1]).events)


def arguments() -> list[Any]:
    """What plain events in C are made of."""
    world, slots = World(FORMS[-1]), Event.__dict__
    return [
        *(Event, slots["_id"], slots["_aggregate"], OTHER_PLACES),
        *(world.entries, world.opened, world.claims, world.seen, True),
    ]


@needs_c
@pytest.mark.parametrize(
    ("place", "wrong"),
    [
        (0, 1),
        (0, dict),
        (1, OpenEntry.__dict__["state"]),
        (1, "id"),
        (2, Event.framed),
        (3, {"a"}),
        (4, None),
        (5, []),
        (6, {}),
        (7, []),
        (7, (None,)),
        (7, (FORMS[0].claims(),)),
    ],
)
def test_what_plain_events_are_not_made_of_is_refused_in_c(place: int, wrong: Any) -> None:
    made_of = arguments()
    assert native.folding.PlainEvents(*made_of).open(SOURCE, [], [], print) == []
    made_of[place] = wrong
    with pytest.raises(TypeError):
        native.folding.PlainEvents(*made_of)
    with pytest.raises(TypeError):
        native.folding.PlainEvents(*arguments(), a=1)


@each_form
def test_nothing_is_kept_of_plain_events(form: Form) -> None:
    good = [(read(at + 5, b"%d" % (at % 3)), event(at)) for at in range(6)]
    failing = [*good[:3], (read(9), event(9, "raises")), *good[4:]]
    stateless = [*good[:3], (read(9), event(9, "no state"))]
    unplain = [[*good, pair] for pair in UNPLAIN.values()]
    unopened = [*good, (read(50, UNOPENED), event(50))]
    source = "".join(["t", "/3"])

    def use(part: Part) -> None:
        world = World(form, VALUES, [[event_id(100)], [event_id(200)]])
        opened = answer(world.open, part)
        if isinstance(opened, list):
            answer(world.fold, part, opened)
            answer(world.fold, part, opened[1:])
        answer(world.events.open, source, [read(70)], [], print)

    def some() -> int:
        for _ in range(40):
            for part in (good, failing, stateless, unopened, *unplain):
                use(part)
        gc.collect()  # tuples that are kept to be used again
        return sys.getallocatedblocks()

    watched: list[Any] = [
        *(Event, OpenEntry, EXPECTED, note, source, None, OTHER_PLACES),
        *(it for pair in failing for it in pair),
    ]
    before, holders = min(some() for _ in range(3)), [*map(sys.getrefcount, watched)]
    assert some() < before + 50
    for count, known in zip(map(sys.getrefcount, watched), holders, strict=True):
        assert abs(count - known) < 10


class Probe:
    """Something whose end is seen."""


class Probed(Event[Any]):
    """An event whose end is seen."""

    __slots__ = ("__weakref__",)


@each_form
def test_what_was_given_is_gone_with_its_last_holder(form: Form) -> None:
    world, probe = World(form), Probe()
    happened = Probed(event(1).envelope, dict)
    part: Part = [(read(1), happened)]
    opened = world.open(part)
    assert opened is not None
    world.fold(part, opened)
    opened[0].state["probe"] = probe
    gone = ref(probe), ref(happened), ref(world)
    gc.disable()
    try:
        del part, happened
        assert gone[1]() is None
        del opened, probe
        assert gone[0]() is not None
        del world
        assert [it() for it in gone] == [None] * 3
    finally:
        gc.enable()


@each_form
def test_plain_events_that_hold_themselves_are_found(form: Form) -> None:
    world, probe = World(form), Probe()
    entry = world.open_singly(b"k")
    entry.state = {"probe": probe, "events": world.events}
    world.opened[b"k"] = entry
    gone = ref(probe)
    del world, probe, entry
    gc.collect()
    assert gone() is None
