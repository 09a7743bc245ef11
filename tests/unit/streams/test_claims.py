"""Claims in C beside those in Python, and both beside a dictionary."""

import random
import struct
from collections.abc import Callable, Iterable
from typing import Any, Final
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from streams.claims import Claim, Claims, is_packable
from tests.unit.streams.folding_forms import FORMS, Form, each_form, needs_c
from tests.unit.streams.tabling import event_id

MOST: Final = 2**63 - 1
LEAST: Final = -(2**63)
USUAL: Final = "0190a5c3-7b1e-7cde-8f01-23456789abcd"


class Text(str):
    """A text that is not exactly one."""

    __slots__ = ()


UNUSUAL: Final = (
    "",
    "a",
    "é",
    "\ud800",
    "\x00" * 36,
    "x" * 36,
    "-" * 36,
    "0" * 36,
    USUAL.upper(),
    USUAL[:-1] + "D",
    USUAL[:-1],
    USUAL + "0",
    USUAL[:-1] + "g",
    USUAL[:-1] + "é",
    USUAL[:-1] + "-",
    "/" + USUAL[1:],
    ":" + USUAL[1:],
    "`" + USUAL[1:],
    "0190a5c37-b1e-7cde-8f01-23456789abcd",
    "0190a5c3-7b1e7-cde-8f01-23456789abcd",
    USUAL.replace("-", ""),
    USUAL.replace("-", "_"),
    USUAL.replace("0", "\N{FULLWIDTH DIGIT ZERO}"),
    "{" + USUAL[2:] + "}",
)

ids = st.integers(0, 150).map(event_id) | st.sampled_from([USUAL, *UNUSUAL])
sources = st.sampled_from(["t/3", "t/4", "", "ü/1", "\ud800"])
offsets = (
    st.integers(0, 9)
    | st.sampled_from([-1, LEAST, MOST, 2**32 - 1, 2**32])
    | st.integers(LEAST, MOST)
)


def is_usual(id_: str) -> bool:
    try:
        return str(UUID(id_)) == id_
    except ValueError:
        return False


def packed(places: dict[str, Claim]) -> dict[str, tuple[int, bytes]]:
    """What is packed of these, by source, as the manual of slots says."""
    by_source: dict[str, list[tuple[bytes, bytes]]] = {}
    for id_, (source, offset) in places.items():
        if is_usual(id_):
            pair = UUID(id_).bytes, struct.pack("<q", offset)
            by_source.setdefault(source, []).append(pair)
    return {
        source: (len(pairs), b"".join(id_ for id_, _ in pairs) + b"".join(at for _, at in pairs))
        for source, pairs in by_source.items()
    }


def assert_same(claims: Claims, places: dict[str, Claim], asked: Iterable[str]) -> None:
    items, parts = claims.items(), claims.packed()
    assert len(claims) == len(places) == len(items)
    assert bool(claims) == bool(places)
    assert dict(items) == places
    for kind in (True, False):
        assert [id_ for id_, _ in items if is_usual(id_) is kind] == [
            id_ for id_ in places if is_usual(id_) is kind
        ]
    assert dict(claims.others()) == {
        id_: place for id_, place in places.items() if not is_usual(id_)
    }
    assert list(claims.others()) == [id_ for id_ in places if not is_usual(id_)]
    assert len({source for source, _, _ in parts}) == len(parts)
    assert {source: (count, content) for source, count, content in parts} == packed(places)
    for id_ in asked:
        assert (id_ in claims) == (id_ in places)
        assert claims.get(id_) == places.get(id_)


class BesideADictionary(RuleBasedStateMachine):
    """Two claims of each form, and a dictionary for each of the two."""

    @initialize()
    def begin(self) -> None:
        self.places: tuple[dict[str, Claim], dict[str, Claim]] = {}, {}
        self.claims = tuple((form.claims(), form.claims()) for form in FORMS)

    @rule(side=st.integers(0, 1), id_=ids, source=sources, offset=offsets)
    def put(self, side: int, id_: str, source: str, offset: int) -> None:
        self.places[side][id_] = (source, offset)
        for claims in self.claims:
            claims[side].put(id_, source, offset)

    @rule(side=st.integers(0, 1), first=st.integers(0, 150), many=st.integers(0, 90))
    def put_many(self, side: int, first: int, many: int) -> None:
        for number in range(first, first + many):
            self.put(side, event_id(number), f"t/{number % 3}", number)

    @rule(side=st.integers(0, 1), id_=ids)
    def remove(self, side: int, id_: str) -> None:
        self.places[side].pop(id_, None)
        for claims in self.claims:
            claims[side].remove(id_)

    @rule(side=st.integers(0, 1), first=st.integers(0, 150), many=st.integers(0, 90))
    def remove_many(self, side: int, first: int, many: int) -> None:
        for number in range(first, first + many):
            self.remove(side, event_id(number))

    @rule(side=st.integers(0, 1))
    def update(self, side: int) -> None:
        self.places[side].update(self.places[1 - side])
        for claims in self.claims:
            claims[side].update(claims[1 - side])

    @rule(side=st.integers(0, 1))
    def update_with_itself(self, side: int) -> None:
        for claims in self.claims:
            claims[side].update(claims[side])

    @rule(side=st.integers(0, 1), source=sources)
    def put_packed(self, side: int, source: str) -> None:
        for part, (_, content) in packed(self.places[1 - side]).items():
            for id_, (known, offset) in [*self.places[1 - side].items()]:
                if known == part and is_usual(id_):
                    self.places[side][id_] = (source, offset)
            for claims in self.claims:
                claims[side].put_packed(source, content)

    @rule(id_=ids, offset=st.sampled_from([MOST + 1, LEAST - 1, 2**64, -(2**80)]))
    def put_what_is_too_far(self, id_: str, offset: int) -> None:
        for claims in self.claims:
            with pytest.raises(OverflowError):
                claims[0].put(id_, "elsewhere", offset)

    @invariant()
    def they_are_the_same(self) -> None:
        asked = [*map(event_id, range(0, 240, 7)), USUAL, *UNUSUAL]
        for claims in self.claims:
            for side in (0, 1):
                assert_same(claims[side], self.places[side], asked)


TestBesideADictionary = BesideADictionary.TestCase
TestBesideADictionary.settings = settings(max_examples=25, stateful_step_count=25)


@given(ids | st.text("0123456789abcdefABCDEFg-", min_size=35, max_size=37))
def test_what_can_be_packed_is_a_uuid_in_the_usual_form(id_: str) -> None:
    assert is_packable(id_) == is_usual(id_)


@each_form
@pytest.mark.parametrize("id_", UNUSUAL)
def test_an_unusual_id_is_another_than_the_usual_one(form: Form, id_: str) -> None:
    claims = form.claims()
    claims.put(id_, "t/3", 1)
    claims.put(USUAL, "t/3", 2)
    assert_same(claims, {id_: ("t/3", 1), USUAL: ("t/3", 2)}, [id_, USUAL])
    claims.remove(id_)
    assert_same(claims, {USUAL: ("t/3", 2)}, [id_, USUAL])


@each_form
@pytest.mark.parametrize("id_", [USUAL, "a", ""])
def test_a_text_of_another_class_is_the_same_id(form: Form, id_: str) -> None:
    claims = form.claims()
    claims.put(Text(id_), "t/3", 1)
    assert_same(claims, {id_: ("t/3", 1)}, [id_, Text(id_)])
    claims.put(id_, Text("t/3"), 2)
    assert_same(claims, {id_: ("t/3", 2)}, [id_, Text(id_)])
    claims.remove(Text(id_))
    assert_same(claims, {}, [id_, Text(id_)])


@each_form
def test_many_are_known_after_removals_and_growth(form: Form) -> None:
    chance = random.Random(7)
    claims, places = form.claims(), dict[str, Claim]()
    known = [str(UUID(int=chance.getrandbits(128))) for _ in range(9_000)]

    def put(id_: str, source: str, offset: int) -> None:
        claims.put(id_, source, offset)
        places[id_] = (source, offset)

    def remove(id_: str) -> None:
        claims.remove(id_)
        places.pop(id_, None)

    for at, id_ in enumerate(known[:6_000]):
        put(id_, f"t/{at % 5}", at)
        if at % 3 == 2:
            remove(known[at // 2])
    assert_same(claims, places, known)
    for at, id_ in enumerate(known):
        put(id_, "u/1", -at)
    assert_same(claims, places, known)
    for id_ in known[:8_990]:
        remove(id_)
        remove(id_)
    assert_same(claims, places, known)
    for at, id_ in enumerate(known[::2]):
        put(id_, "u/2", at)
        remove(known[at])
        put(known[at], "u/3", at)
    assert_same(claims, places, known)
    for id_ in known:
        remove(id_)
    assert_same(claims, {}, known)


@each_form
def test_there_may_be_as_many_sources_as_ids(form: Form) -> None:
    count = 20_000
    claims, others = form.claims(), form.claims()
    for number in range(count):
        claims.put(event_id(number), f"t/{number}", number)
        others.put(event_id(number + count // 2), f"u/{number}", number)
    claims.update(others)
    expected = {event_id(number): (f"t/{number}", number) for number in range(count // 2)}
    expected |= {event_id(number + count // 2): (f"u/{number}", number) for number in range(count)}
    assert dict(claims.items()) == expected
    read = form.claims()
    for source, size, packed in claims.packed():
        assert size == 1
        read.put_packed(source, packed)
    assert dict(read.items()) == expected


@each_form
def test_sources_are_packed_in_the_order_of_their_first_claims(form: Form) -> None:
    claims = form.claims()
    for number, source in enumerate(["u/3", "t/7", "u/3", "t/7"]):
        claims.put(event_id(number), source, number)
    claims.remove(event_id(0))
    assert [(source, count) for source, count, _ in claims.packed()] == [("t/7", 2), ("u/3", 1)]


@each_form
def test_what_was_removed_from_others_is_not_put_with_them(form: Form) -> None:
    claims, others, places = form.claims(), form.claims(), dict[str, Claim]()
    for number in range(200):
        others.put(event_id(number), f"u/{number // 7 % 3}", number)
        claims.put(event_id(2 * number), f"t/{number % 2}", number)
        places[event_id(2 * number)] = (f"t/{number % 2}", number)
    for number in range(0, 200, 3):
        others.remove(event_id(number))
    others.put("unusual", "u/9", 1)
    others.put("removed", "u/9", 1)
    others.remove("removed")
    for number in range(0, 400, 5):
        claims.remove(event_id(number))
        places.pop(event_id(number), None)
    left = dict(others.items())
    claims.update(others)
    places.update(left)
    assert_same(claims, places, map(event_id, range(400)))
    assert_same(others, left, map(event_id, range(400)))


@each_form
def test_ids_that_differ_in_one_bit_are_others(form: Form) -> None:
    claims, places = form.claims(), dict[str, Claim]()
    known = [str(UUID(int=1 << bit)) for bit in range(128)]
    for at, id_ in enumerate(known):
        assert id_ not in claims
        claims.put(id_, "t/3", 1 << (at % 63))
        places[id_] = ("t/3", 1 << (at % 63))
    assert_same(claims, places, known)


@each_form
def test_what_is_packed_has_the_lowest_byte_of_an_offset_first(form: Form) -> None:
    claims = form.claims()
    claims.put("00010203-0405-0607-0809-0a0b0c0d0e0f", "t/3", 0x1122334455667788)
    claims.put("f0f1f2f3-f4f5-f6f7-f8f9-fafbfcfdfeff", "t/3", -2)
    content = bytes.fromhex(
        "000102030405060708090a0b0c0d0e0f f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"
        "8877665544332211 feffffffffffffff"
    )
    assert [*claims.packed()] == [("t/3", 2, content)]
    other = form.claims()
    other.put_packed("t/3", content)
    assert other.items() == claims.items()


@each_form
@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (lambda claims: claims.put(USUAL, "t/3", MOST + 1), OverflowError),
        (lambda claims: claims.put("new", "t/3", LEAST - 1), OverflowError),
        (lambda claims: claims.put(USUAL, "t/3", "1"), TypeError),
        (lambda claims: claims.put("new", "t/3", None), TypeError),
        (lambda claims: claims.put(USUAL, "t/3"), TypeError),
        (lambda claims: claims.put_packed("t/3", bytes(23)), ValueError),
        (lambda claims: claims.put_packed("t/3", bytes(25)), ValueError),
        (lambda claims: claims.put_packed("t/3"), (TypeError, ValueError)),
        (lambda claims: claims.update(None), (TypeError, AttributeError)),
        (lambda claims: claims.get([]), TypeError),
        (lambda claims: claims.remove([]), TypeError),
        (lambda claims: [] in claims, TypeError),
    ],
)
def test_what_is_wrong_changes_nothing(
    form: Form, wrong: Callable[[Any], Any], error: type[Exception]
) -> None:
    claims = form.claims()
    places = {USUAL: ("t/3", 1), "unusual": ("t/4", 2)}
    for id_, place in places.items():
        claims.put(id_, *place)
    with pytest.raises(error):
        wrong(claims)
    assert_same(claims, places, ["new"])


@needs_c
@pytest.mark.parametrize(
    "wrong",
    [
        lambda claims: claims.put(1, "t/3", 1),
        lambda claims: claims.put(USUAL.encode(), "t/3", 1),
        lambda claims: claims.put(USUAL, b"t/3", 1),
        lambda claims: claims.put(USUAL, "t/3", 1.0),
        lambda claims: claims.put("new", "t/3", 1.0),
        lambda claims: claims.put(USUAL, "t/3", 1, 1),
        lambda claims: claims.put_packed(b"t/3", bytes(24)),
        lambda claims: claims.put_packed("t/3", bytearray(24)),
        lambda claims: claims.put_packed("t/3", bytes(24), None),
        lambda claims: claims.update({USUAL: ("t/3", 2)}),
        lambda claims: claims.update(FORMS[0].claims()),
        lambda claims: type(claims)(claims),
        lambda claims: type(claims)(claims=claims),
        lambda claims: type("Other", (type(claims),), {}),
    ],
)
def test_what_is_of_another_class_is_refused_in_c(wrong: Callable[[Any], Any]) -> None:
    claims = FORMS[-1].claims()
    claims.put(USUAL, "t/3", 1)
    with pytest.raises((TypeError, ValueError)):
        wrong(claims)
    assert_same(claims, {USUAL: ("t/3", 1)}, [])


@each_form
@pytest.mark.parametrize("asked", [None, 1, b"a", USUAL.encode(), ()])
def test_what_is_no_id_is_not_known(form: Form, asked: Any) -> None:
    claims = form.claims()
    claims.put(USUAL, "t/3", 1)
    claims.put("unusual", "t/3", 1)
    claims.remove(asked)
    assert asked not in claims
    assert claims.get(asked) is None
    assert len(claims) == 2
