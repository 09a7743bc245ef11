"""Rows of a projection: any cut into batches comes to the same, and a failing event is named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.event import Event
from streams.errors import InfrastructureError
from streams.folding import Folded, Row, StoredEvent, fold_rows, keyed
from streams.projection import Projection, State
from tests.unit.streams.tabling import collect, event

COLLECTED = Projection(
    name="collected",
    patterns=("*",),
    fold=collect,
    initial=dict,
    key=lambda event: str(event.id[-1]),
)


def stored(number: int, source: str = "good", partition: int = 0) -> StoredEvent:
    return StoredEvent(partition, number, event(number, source))


def fold(
    batch: Sequence[StoredEvent], rows: dict[str, Row], projection: Projection = COLLECTED
) -> Folded:
    """Fold a batch, and put what it changed into the rows."""
    by_key = keyed(projection, batch)
    folded = fold_rows(projection, rows, by_key.deliveries)
    rows |= {row.key: row for row in folded.rows}
    return folded if folded.failure else replace(folded, failure=by_key.failure)


def plainly(batch: Sequence[StoredEvent]) -> dict[str, list[str]]:
    states: dict[str, State] = {}
    for _, _, happened in batch:
        key = COLLECTED.key_of(happened)
        states[key] = collect(states.get(key, {}), happened)
    return {key: state["ids"] for key, state in states.items()}


def ids_in(rows: dict[str, Row]) -> dict[str, list[str]]:
    return {key: row.decoded()["ids"] for key, row in rows.items()}


@given(count=st.integers(1, 40), cuts=st.lists(st.integers(0, 40), max_size=4))
def test_any_cut_into_batches_comes_to_the_plain_fold(count: int, cuts: list[int]) -> None:
    events = [stored(number) for number in range(count)]
    rows: dict[str, Row] = {}
    edges = sorted({0, count, *(cut for cut in cuts if cut < count)})
    for begin, end in pairwise(edges):
        fold(events[begin:end], rows)
    assert ids_in(rows) == plainly(events)
    assert sum(row.events for row in rows.values()) == count


@given(
    count=st.integers(1, 30), failing=st.integers(0, 29), how=st.sampled_from(["raises", "spoils"])
)
def test_what_stands_before_a_failing_event_counts_and_nothing_behind_it(
    count: int, failing: int, how: str
) -> None:
    events = [stored(number, how if number == failing else "good") for number in range(count)]
    rows: dict[str, Row] = {}
    folded = fold(events, rows)
    assert ids_in(rows) == plainly(events[:failing])
    assert folded.events == min(count, failing)
    if failing < count:
        assert folded.failure is not None
        assert folded.failure.event_id == events[failing].event.id
        assert (folded.failure.partition, folded.failure.offset) == (0, failing)


@given(numbers=st.lists(st.integers(0, 15), max_size=40))
def test_an_event_that_a_row_covers_is_left_out(numbers: list[int]) -> None:
    rows: dict[str, Row] = {}
    folded_before = [stored(number) for number in range(16)]
    fold(folded_before, rows)
    before = ids_in(rows)
    fold([stored(number) for number in sorted(numbers)], rows)
    assert ids_in(rows) == before


def test_an_entry_gathers_events_of_several_partitions() -> None:
    rows: dict[str, Row] = {}
    everything = replace(COLLECTED, key=lambda _: "all")
    fold([stored(5, partition=0), stored(6, partition=1)], rows, everything)
    fold([stored(2, partition=2), stored(7, partition=0)], rows, everything)
    assert rows["all"].events == 4
    assert rows["all"].coverage == {"0": 7, "1": 6, "2": 2}


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("a\x00b", "NUL"),
        ("k" * 1_001, "1000 bytes"),
        ("\ud800", "surrogates"),
        (None, "NoneType"),
    ],
)
def test_a_key_that_no_index_holds_names_its_event(key: Any, reason: str) -> None:
    projection = replace(COLLECTED, key=lambda event: key if event.source == "odd" else "good")
    rows: dict[str, Row] = {}
    folded = fold([stored(1), stored(2, "odd"), stored(3)], rows, projection)
    assert folded.failure is not None
    assert reason in folded.failure.error
    assert folded.failure.offset == 2
    assert rows["good"].events == 1


@pytest.mark.parametrize(
    "state",
    [{"text": "a\x00b"}, {"a\x00b": 1}, {"list": [{"deep": "\x00"}]}, {"half": "\ud800"}, ["list"]],
)
def test_a_state_that_postgres_cannot_hold_names_its_event(state: Any) -> None:
    def spoil(_state: State, happened: Event[Any]) -> State:
        spoilt: State = state if happened.source == "odd" else {"fine": "\\u0000"}
        return spoilt

    rows: dict[str, Row] = {}
    projection = replace(COLLECTED, fold=spoil, key=lambda _: "k")
    folded = fold([stored(1), stored(2, "odd")], rows, projection)
    assert folded.failure is not None
    assert folded.failure.offset == 2
    assert rows["k"].decoded() == {"fine": "\\u0000"}


def test_a_fold_that_is_not_repeatable_ends_all_the_same() -> None:
    calls = iter([object(), *[1] * 10])

    def unsteady(_state: State, _event: Event[Any]) -> State:
        return {"value": next(calls)}

    projection = replace(COLLECTED, fold=unsteady, key=lambda _: "k")
    folded = fold([stored(1)], {}, projection)
    assert folded.failure is not None
    assert "repeatable" in folded.failure.error


def away(_event: Event[Any]) -> str:
    raise InfrastructureError("the keys are away")


def test_an_outage_met_while_folding_is_no_failure_of_its_event() -> None:
    batch = [stored(1)]
    with pytest.raises(InfrastructureError):
        keyed(replace(COLLECTED, key=away), batch)
    deliveries = keyed(COLLECTED, batch).deliveries
    with pytest.raises(InfrastructureError):
        fold_rows(replace(COLLECTED, fold=lambda _, event: {"key": away(event)}), {}, deliveries)
