"""Plain events that are folded in C beside those that are folded in Python: the same in the end."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.envelope import Aggregate
from schemas.event import Event
from streams.claims import Claim
from streams.coverage import Coverage
from streams.emission import EMISSION
from streams.plain_events import OTHER_PLACES
from streams.projection import State
from streams.records import LATE, ORIGIN
from streams.table import OpenEntry
from tests.unit.streams.folding_forms import FORMS, Form, answer, each_form
from tests.unit.streams.plain_world import (
    SOURCE,
    UNOPENED,
    UNPLAIN,
    USUAL_KEYS,
    VALUES,
    Part,
    Unfolded,
    Unopened,
    World,
    appended,
    read,
    stored,
)
from tests.unit.streams.tabling import event, event_id, named

usual_headers = st.sampled_from([(), (), (("ce_type", b"x"),), (("a", b""), ("b", b""))])
other_headers = st.sampled_from([ORIGIN, EMISSION, LATE]).map(
    lambda name: (("ce_type", b"x"), (name, b"1"))
)
keys = st.sampled_from([*USUAL_KEYS * 3, None, b"reached", b"reached", b"missing", b"recent"])
odd_keys = st.sampled_from([UNOPENED, b"\xff"])
ways = st.sampled_from(["good"] * 8 + ["another", "odd", "raises", "no state"])


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


@dataclass(frozen=True)
class Done:
    """What a form has answered to one part, and what stands then."""

    opened: Any
    folded: Any
    places: dict[str, Claim]
    states: dict[bytes, tuple[State, int]]
    ahead: list[bytes]


def done(world: World, part: Part) -> Done:
    before, ahead = world.places(), world.keys_ahead()
    opened = answer(world.open, part)
    if not isinstance(opened, list):
        assert world.places() == before
        assert world.keys_ahead() == ahead
        return Done(opened, None, before, world.states(), ahead)
    for (record, happened), entry in zip(part, opened, strict=True):
        assert entry is world.opened[record.key or b""]
        assert happened.id not in before
        assert world.claims.get(happened.id) == (SOURCE, record.offset)
    folded = answer(world.fold, part, opened)
    return Done("opened", folded, world.places(), world.states(), world.keys_ahead())


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
            assert found.ahead == first.ahead
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


@each_form
def test_entries_are_noted_until_what_they_hold_is_stored(form: Form) -> None:
    world = World(form, VALUES)

    def add(number: int, *keys: bytes) -> None:
        part = [
            (read(10 * number + at, key), event(10 * number + at)) for at, key in enumerate(keys)
        ]
        opened = world.open(part)
        assert opened is not None
        world.fold(part, opened)

    add(1, b"c", b"a", b"c", b"far away")
    assert world.keys_ahead() == [b"c", b"a", b"far away"]
    world.entries.settle(world.ahead)
    world.ahead.clear()
    add(2, b"a", b"b")
    add(3, b"b", b"c", b"a")
    assert world.keys_ahead() == [b"a", b"b", b"c"]


@each_form
def test_entries_of_other_coverage_are_noted(form: Form) -> None:
    world = World(form, VALUES)
    for number in (20, 21):
        part = [(read(number, b"missing"), event(number)), (read(number + 10), event(number + 10))]
        opened = world.open(part)
        assert opened is not None
        world.fold(part, opened)
        assert world.keys_ahead() == [b"missing", b"a"]
        world.ahead.clear()
        world.entries.settle(world.opened.values())


@each_form
@pytest.mark.parametrize("kind", UNPLAIN)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_what_is_not_plain_claims_nothing(form: Form, kind: str, place: int) -> None:
    assert {ORIGIN, EMISSION, LATE} == {*OTHER_PLACES}
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
    assert world.states() == {b"a": (OrderedDict(odd=event_id(1), checked=True), 1)}
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
