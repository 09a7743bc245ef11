"""What lies in a bucket says the same whether it is told from plain rows or looked at in full."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from connectors.audit import Kind
from connectors.audit_comparison import Known, Versioned, compare_events
from connectors.audit_rows import ARCHIVED, PUBLISHED, STORED, WAITING, _known, read_bucket

NEXT = {0: 3, 1: 3}
SOURCE = "events.domain.low/0"
ARCHIVED_ROW = [ARCHIVED, "e", "d", 0, 1, SOURCE, 9]
PUBLISHED_ROW = [PUBLISHED, "e", "events.domain.low", 0, 9, True]
STORED_ROW = [STORED, "e", "d", "Analysis/a", 4, 0, 1]

digests = st.sampled_from(["d", "other"])
small = st.integers(0, 4)
rows = st.one_of(
    st.tuples(
        st.just(ARCHIVED), st.just("e"), digests, st.integers(0, 1), small, st.just(SOURCE), small
    ),
    st.tuples(st.just(PUBLISHED), st.just("e"), st.just("t"), st.just(0), small, st.booleans()),
    st.tuples(
        st.just(STORED), st.just("e"), digests, st.none(), st.none(), st.integers(0, 1), small
    ),
    st.tuples(st.just(WAITING), st.just("e")),
)


@given(st.lists(rows.map(list), min_size=1, max_size=4))
def test_what_agrees_at_first_sight_agrees_in_full(found: list[list[Any]]) -> None:
    bucket = read_bucket(found, NEXT)
    if bucket.plain:
        compared = compare_events({"e": _known(found)}, NEXT)
        assert (compared.anomalies, compared.in_flight) == ([], 0)
    else:
        assert set(bucket.others) == {"e"}


def test_an_event_that_stands_everywhere_is_plain_and_keeps_its_version() -> None:
    bucket = read_bucket([PUBLISHED_ROW, STORED_ROW, ARCHIVED_ROW], NEXT)
    assert bucket.plain == 1
    assert bucket.versioned == [Versioned("Analysis/a", 4, "e", SOURCE, 9)]


def full(*found: list[Any]) -> Known:
    return read_bucket([*found], NEXT).others["e"]


def test_an_event_with_two_positions_is_stored_once() -> None:
    known = full(ARCHIVED_ROW, STORED_ROW, [*STORED_ROW[:6], 2])
    assert (len(known.stored), len(known.placed)) == (1, 2)


def test_an_event_that_is_stored_twice_at_one_position_is_a_duplicate() -> None:
    known = full(ARCHIVED_ROW, STORED_ROW, STORED_ROW)
    assert [it.kind for it in compare_events({"e": known}, NEXT).anomalies] == [Kind.DUPLICATE]


def test_a_position_without_an_event_is_a_hole() -> None:
    known = full(ARCHIVED_ROW, [STORED, "e", None, None, None, 0, 1])
    assert (known.stored, len(known.placed)) == ([], 1)
    assert [it.kind for it in compare_events({"e": known}, NEXT).anomalies] == [Kind.HOLE]


def test_an_event_without_a_position_is_a_hole_unless_it_waits_for_the_relay() -> None:
    unplaced = [*STORED_ROW[:5], None, None]
    [hole] = compare_events({"e": full(unplaced)}, NEXT).anomalies
    assert hole.kind is Kind.HOLE
    compared = compare_events({"e": full(unplaced, [WAITING, "e"])}, NEXT)
    assert (compared.anomalies, compared.in_flight) == ([], 1)
