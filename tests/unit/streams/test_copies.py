"""Which events are copies, asked of many at once and of each: the two answers agree."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.event import Event, EventFactory
from schemas.events.domain import AnalysisStarted
from streams.copies import Copies
from streams.handler import Handler
from streams.policies import DeadLetter, Deduplicate, PolicyStack
from streams.records import RawRecord
from tests.unit.streams.bench import NOW, Bench

CATALOG = Catalog.load()
FACTORY = EventFactory(CATALOG, "test", clock=lambda: NOW)
BENCH = Bench(catalog=CATALOG, codec=Codec(CATALOG), factory=FACTORY)


async def nothing(event: Any, context: Any) -> None:
    """What the handler does."""


def handler(remember: int) -> Handler:
    """One that leaves out copies."""
    policies = PolicyStack((Deduplicate(remember), DeadLetter()))
    return Handler(name="notify", pattern="analysis.*", function=nothing, policies=policies)


def started(number: int) -> Event[AnalysisStarted]:
    """An event that the handler takes."""
    name = f"a{number}"
    data = AnalysisStarted(analysis_id=name, project_id="p", package="x", files=1, root="r")
    return FACTORY.create(data, aggregate_id=name)


def records_of(events: list[Event[AnalysisStarted]], begin: int) -> list[RawRecord]:
    """The events as they stand in a partition, from this offset on."""
    return [BENCH.record(event, begin + at) for at, event in enumerate(events)]


PARTITIONS = st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=12), min_size=1, max_size=2)
SLICES = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 11), st.integers(1, 5)), min_size=1, max_size=12
)


@given(partitions=PARTITIONS, slices=SLICES)
def test_a_copy_is_an_event_whose_id_stood_before_in_its_partition(
    partitions: list[list[int]], slices: list[tuple[int, int, int]]
) -> None:
    events = [started(number) for number in range(6)]
    read: set[tuple[int, int, int]] = set()
    copies, taker = Copies(), handler(1_000)
    for number, start, length in slices:
        partition = number % len(partitions)
        ids = partitions[partition]
        begin = start % len(ids)
        places = range(begin, min(begin + length, len(ids)))
        found = [events[ids[at]] for at in places]
        records = [BENCH.record(events[ids[at]], at, partition) for at in places]
        are_new = copies.are_new(taker, records, found)
        for at, record, event in zip(places, records, found, strict=True):
            read.add((partition, at, ids[at]))
            stood = any((partition, before, ids[at]) in read for before in range(at))
            assert copies.is_copy(taker, record, event) is stood
            assert not (are_new and stood)


def test_as_many_ids_as_asked_for_are_remembered() -> None:
    remembered = 8
    copies, taker = Copies(), handler(remembered)
    events = [started(number) for number in range(40)]
    for begin in range(0, 40, 4):
        found = events[begin : begin + 4]
        assert copies.are_new(taker, records_of(found, begin), found)
        late = events[max(0, begin + 4 - remembered) : begin + 4]
        again = records_of(late, 100 + begin)
        assert all(map(copies.is_copy, [taker] * len(late), again, late))


def test_ids_beyond_those_are_forgotten() -> None:
    copies, taker = Copies(), handler(8)
    events = [started(number) for number in range(40)]
    for at, event in enumerate(events):
        assert copies.are_new(taker, records_of([event], at), [event])
    assert not copies.is_copy(taker, BENCH.record(events[0], 100), events[0])
