"""The window of ids: what it holds, how its slots are written, and which of them are used again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.claims import Claim, Claims, new_claims
from streams.window import (
    SLOT_IDS,
    Slot,
    SlotHead,
    Window,
    is_reserved,
    slot_key,
    slot_replaces,
)
from tests.unit.streams.tabling import event_id


class Ring:
    """A window and the slots that stand in its changelog, as compaction leaves them."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.window = Window(size=size)
        self.slots: dict[bytes, bytes] = {}

    def add(self, claims: Claims, generation: int = 1) -> Slot:
        slot = self.window.plan(claims, generation)
        self.slots[slot.key] = slot.encode()
        self.window.keep(slot)
        return slot

    def recovered(self) -> Window:
        return Window.stored(self.slots.get, self.size)


def claims(*numbers: int, source: str = "t/3") -> Claims:
    return claimed({event_id(number): (source, number) for number in numbers})


def claimed(places: Mapping[str, Claim]) -> Claims:
    made: Claims = new_claims()
    for id_, place in places.items():
        made.put(id_, *place)
    return made


uuids = st.integers(0, 10**6).map(event_id)
unusual = st.sampled_from(
    ["", "e1", "x" * 36, event_id(171).upper(), event_id(5).replace("-", " "), "é" * 36]
) | st.text(max_size=40)
id_claims = st.dictionaries(
    uuids | unusual,
    st.tuples(st.sampled_from(["a/0", "b/1", "c/2"]), st.integers(0, 2**62)),
    min_size=1,
    max_size=30,
)


@given(id_claims, st.integers(0, 9), st.integers(0, 2**31), st.integers(0, 2**40))
def test_a_slot_is_read_as_it_was_written(
    held: dict[str, Claim], index: int, generation: int, number: int
) -> None:
    slot = Slot(index, SlotHead(generation, number), claimed(held))
    read = Slot.decode(index, slot.encode())
    assert dict(read.claims.items()) == held
    assert (read.index, read.head) == (index, (generation, number))


def test_an_id_takes_24_bytes() -> None:
    few, many = (Window().plan(claims(*range(n)), 1).encode() for n in (100, 999))
    assert len(many) - len(few) == 899 * 24


def test_keys_of_slots_are_no_text() -> None:
    assert is_reserved(slot_key(7))
    assert not is_reserved("ÿids/7".encode())
    with pytest.raises(UnicodeDecodeError):
        slot_key(7).decode()


def test_small_batches_share_a_slot_until_it_is_full() -> None:
    ring = Ring(size=10)
    indices = [ring.add(claims(number)).index for number in range(SLOT_IDS + 1)]
    assert indices == [0] * SLOT_IDS + [1]
    assert known(ring.recovered(), SLOT_IDS + 1) == known(ring.window, SLOT_IDS + 1)


def known(window: Window, numbers: int) -> set[int]:
    return {number for number in range(numbers) if window.get(event_id(number)) is not None}


@settings(max_examples=60)
@given(st.lists(st.integers(1, 700), max_size=40), st.integers(1, 1500))
def test_the_last_ids_are_held_and_recovered_in_a_ring_of_few_slots(
    lengths: Sequence[int], size: int
) -> None:
    ring = Ring(size)
    written = 0
    for length in lengths:
        ring.add(claims(*range(written, written + length)))
        written += length
    newest = set(range(max(0, written - size), written))
    assert newest <= known(ring.window, written)
    assert newest <= known(ring.recovered(), written)
    assert sum(map(len, ring.window.claims)) < 2 * (size + max([*lengths, 0]) + SLOT_IDS)
    assert len(ring.slots) <= size // SLOT_IDS + 2


def test_a_claim_outlives_the_older_slot_of_the_same_id() -> None:
    ring = Ring(size=SLOT_IDS)
    ring.add(claims(*range(SLOT_IDS)))
    moved = claims(*range(1000, 1000 + SLOT_IDS))
    moved.put(event_id(0), "u/1", 7)
    ring.add(moved)
    assert ring.window.get(event_id(0)) == ("u/1", 7)


def test_what_is_older_than_the_window_is_forgotten() -> None:
    ring = Ring(size=SLOT_IDS)
    for first in range(0, 4 * SLOT_IDS, SLOT_IDS):
        ring.add(claims(*range(first, first + SLOT_IDS)))
    assert known(ring.window, SLOT_IDS) == set()
    assert known(ring.recovered(), 3 * SLOT_IDS) == set()


def test_of_two_slots_under_one_key_the_one_of_the_higher_generation_is_kept() -> None:
    low, high = (
        Slot(0, SlotHead(generation, number), claims(1)).encode()
        for generation, number in ((1, 9), (2, 5))
    )
    assert slot_replaces(high, low)
    assert slot_replaces(high, high)
    assert not slot_replaces(low, high)


def test_a_new_owner_goes_on_after_the_newest_slot() -> None:
    ring = Ring(size=10)
    ring.add(claims(*range(SLOT_IDS)), generation=1)
    ring.window = ring.recovered()
    slot = ring.add(claims(900), generation=2)
    assert (slot.index, slot.head) == (1, (2, 1))
