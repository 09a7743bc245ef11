"""Nothing is kept of what was folded at once, in any form, and nothing holds itself."""

from __future__ import annotations

import gc
import sys
import tracemalloc
from typing import Any
from weakref import ref

import pytest

from schemas.event import Event
from streams.one_source import OneSourceEntries
from streams.plain_events import OTHER_PLACES
from streams.projection import NO_STATE
from streams.table import END_OF_ONE, OpenEntry, Table
from tests.unit.streams.folding_forms import Form, answer, each_form
from tests.unit.streams.plain_world import (
    UNOPENED,
    UNPLAIN,
    VALUES,
    Part,
    World,
    note,
    read,
)
from tests.unit.streams.tabling import PARTITION, event, event_id
from tests.unit.streams.test_claims import MOST, USUAL, assert_same
from tests.unit.streams.test_one_source import (
    BEGINNING,
    EXPECTED,
    GENERATION,
    KEY,
    FailingStore,
    entries_in,
    partition_with,
)


@each_form
def test_what_was_given_is_not_changed_with_the_claims(form: Form) -> None:
    claims = form.claims()
    claims.put("unusual", "t/3", 1)
    dict_of_others: Any = claims.others()
    dict_of_others.clear()
    list_of_items: Any = claims.items()
    list_of_items.clear()
    list_of_parts: Any = claims.packed()
    list_of_parts.clear()
    assert_same(claims, {"unusual": ("t/3", 1)}, [])


@each_form
def test_a_full_table_from_which_one_is_removed_again_and_again_is_not_copied_each_time(
    form: Form,
) -> None:
    claims = form.claims()
    for number in range(4_096):
        claims.put(event_id(number), "t/3", number)

    def put_again() -> None:
        for number in range(100):
            claims.remove(event_id(number))
            claims.put(event_id(number), "t/3", number)

    put_again()
    tracemalloc.start()
    try:
        put_again()
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 50_000
    assert len(claims) == 4_096


@each_form
def test_nothing_is_kept_of_claims(form: Form) -> None:
    source = "/".join(["t", "3"])
    holders = sys.getrefcount(source)
    known = [*map(event_id, range(300)), "unusual"]

    def some() -> int:
        claims, others = form.claims(), form.claims()
        for at, id_ in enumerate(known):
            claims.put(id_, source, at)
            others.put(id_, "t/3", at)
        claims.update(others)
        for id_ in known:
            claims.get(id_)
            claims.remove(id_)
        for id_ in known:
            claims.put(id_, source, 2**40)
        for part, _, content in claims.packed():
            others.put_packed(part, content)
        for wrong in (MOST + 1, None):
            with pytest.raises((OverflowError, TypeError)):
                claims.put(USUAL, source, wrong)  # type: ignore[arg-type]  # on purpose
        with pytest.raises(ValueError, match="24 bytes"):
            others.put_packed(source, b"1")
        claims.items()
        claims.others()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        before = min(some() for _ in range(4))
        after = min(some() for _ in range(4))
    finally:
        tracemalloc.stop()
    assert after < before + 3_000
    assert sys.getrefcount(source) == holders


@each_form
def test_nothing_is_kept_of_entries(form: Form) -> None:
    good = partition_with(BEGINNING + b"123456789" + END_OF_ONE + b'{"ids":["abc"]}')
    broken = partition_with(BEGINNING + b"123456789" + END_OF_ONE + b'{"ids":["abc"')
    cut, listed = partition_with(BEGINNING + b"1"), partition_with(BEGINNING + b"1}}\n[1]")
    failing = Table("changelog", FailingStore()).partition(PARTITION)

    def use(entries: OneSourceEntries) -> None:
        entry, new = entries.open(KEY), entries.open(b"new")
        assert entry is not None
        assert new is not None
        entry.reach = 2**40 + entry.reach
        entries.settle([entry, new])
        entries.encode({KEY: entry, b"new": new}, GENERATION)
        entries.encode({KEY: entry, b"new": new}, 99)
        new.state["spoilt"] = object()
        answer(entries.settle, [entry, new])
        answer(entries.encode, {b"": 1}, 5)

    def some() -> int:
        for _ in range(100):
            use(entries_in(form, good))
            for partition in (broken, cut, listed, failing):
                answer(entries_in(form, partition).open, KEY)
        gc.collect()  # tuples that are kept to be used again
        return sys.getallocatedblocks()

    watched: list[Any] = [EXPECTED, BEGINNING, END_OF_ONE, NO_STATE, None, True, False, OpenEntry]
    *_, before = [some() for _ in range(5)]
    holders = [*map(sys.getrefcount, watched)]
    assert some() < before + 50
    for count, known in zip(map(sys.getrefcount, watched), holders, strict=True):
        assert abs(count - known) < 50


class Probe:
    """Something whose end is seen."""


@each_form
def test_an_entry_is_gone_with_its_last_holder(form: Form) -> None:
    gc.disable()
    try:
        entry = entries_in(form, partition_with(None), lambda: {"probe": Probe()}).open(KEY)
        assert entry is not None
        gone = ref(entry.state["probe"])
        assert gone() is not None
        del entry
        assert gone() is None
    finally:
        gc.enable()


@each_form
def test_entries_that_hold_themselves_are_found(form: Form) -> None:
    def make() -> ref[Probe]:
        holder: list[Any] = [Probe()]
        holder.append(entries_in(form, partition_with(None), lambda: {"holder": holder}))
        return ref(holder[0])

    gone = make()
    gc.collect()
    assert gone() is None


@each_form
def test_nothing_is_kept_of_plain_events(form: Form) -> None:
    good = [(read(2**40 + at, b"%d" % (at % 3)), event(at)) for at in range(6)]
    failing = [*good[:3], (read(2**40 + 3), event(9, "raises")), *good[4:]]
    stateless = [*good[:3], (read(2**40 + 3), event(9, "no state"))]
    unplain = [[*good, pair] for pair in UNPLAIN.values()]
    unopened = [*good, (read(2**41, UNOPENED), event(50))]
    source = "".join(["t", "/3"])

    def use(part: Part) -> None:
        world = World(form, VALUES, [[event_id(100)], [event_id(200)]])
        opened = answer(world.open, part)
        if isinstance(opened, list):
            answer(world.fold, part, opened)
            answer(world.fold, part, opened[1:])
        answer(world.events.open, source, [read(70)], [], print)

    def some() -> int:
        for _ in range(80):
            for part in (good, failing, stateless, unopened, *unplain):
                use(part)
        gc.collect()  # tuples that are kept to be used again
        return sys.getallocatedblocks()

    watched: list[Any] = [
        *(Event, OpenEntry, note, source, None, OTHER_PLACES),
        *(it for pair in failing for it in pair),
        *(record.offset for record, _ in good),
    ]
    *_, before = [some() for _ in range(5)]
    holders = [*map(sys.getrefcount, watched)]
    assert some() < before + 50
    for count, known in zip(map(sys.getrefcount, watched), holders, strict=True):
        assert abs(count - known) < 10


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
