"""Which events an entry holds, and which of two entries of one key is kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.coverage import LARGEST_MISSING, Coverage, OneSource
from streams.projection import Entry, is_shown

FIRST_FORMAT = (
    b'{"state":{"seen":3},"positions":{"t/0":7},"recent":["e1","e2"],"generation":4}'  # one line
)


def coverage(
    generation: int = 1, missing: dict[str, set[int]] | None = None, **at: int
) -> Coverage:
    return Coverage(positions=dict(at), missing=missing or {}, generation=generation)


@pytest.mark.parametrize(
    ("later", "earlier", "replaces"),
    [
        (coverage(s=5), coverage(s=4), True),
        (coverage(s=4), coverage(s=5), False),
        (coverage(s=5), coverage(s=5), True),
        (coverage(s=5, t=0), coverage(s=5), True),
        (coverage(s=5), coverage(s=5, t=0), False),
        (coverage(2, s=4), coverage(1, s=5), False),
        (coverage(2, s=6, t=1), coverage(1, s=5, t=3), True),
        (coverage(1, s=6, t=1), coverage(2, s=5, t=3), False),
    ],
)
def test_the_entry_that_lacks_nothing_stays_and_else_the_one_of_the_higher_generation(
    later: Coverage, earlier: Coverage, *, replaces: bool
) -> None:
    assert later.replaces(earlier) is replaces


def test_an_entry_into_which_a_dead_letter_was_redriven_is_further_than_the_one_before() -> None:
    before, after = coverage(s=5, missing={"s": {3}}), coverage(s=5)
    assert after.replaces(before)
    assert not before.replaces(after)


def test_an_entry_that_never_saw_the_dead_letter_does_not_count_as_further() -> None:
    assert coverage(s=5, missing={"s": {5}}).has_more_than(coverage(s=4))
    assert not coverage(s=4).has_more_than(coverage(s=5, missing={"s": {5}}))


def test_what_is_left_out_is_not_held_until_it_is_applied_at_its_own_place() -> None:
    known = coverage(s=4)
    known.leave_out("s", 7, None, -1)
    assert [known.holds("s", offset) for offset in (4, 6, 7, 8)] == [True, True, False, False]
    known.advance("s", 7, None, -1)
    assert known.holds("s", 7)
    assert known.missing == {}


def test_a_redriven_event_sets_no_position_back() -> None:
    known = coverage(s=9, stream=30, missing={"s": {3}})
    known.advance("s", 3, "stream", 11)
    assert known.positions == {"s": 9, "stream": 30}


def test_of_too_many_that_are_left_out_the_lowest_is_given_up_and_named() -> None:
    known = coverage()
    given_up = [known.leave_out("s", offset, None, -1) for offset in range(LARGEST_MISSING + 2)]
    assert given_up[LARGEST_MISSING:] == [0, 1]
    assert len(known.missing["s"]) == LARGEST_MISSING
    assert known.holds("s", 1)


@given(
    st.dictionaries(st.text(), st.integers(0, 2**60)),
    st.dictionaries(st.text(), st.sets(st.integers(0, 2**60), min_size=1)),
    st.integers(0, 2**31),
)
def test_a_coverage_is_read_as_it_was_written(
    positions: dict[str, int], missing: dict[str, set[int]], generation: int
) -> None:
    written = Coverage(positions=positions, missing=missing, generation=generation)
    assert b"\n" not in written.encode()
    assert Coverage.decode(written.encode()) == written


json_states = st.dictionaries(st.text(), st.text() | st.integers(0, 9) | st.lists(st.text()))


@given(json_states)
def test_an_entry_is_read_as_it_was_written(state: dict[str, object]) -> None:
    written = Entry(state=state, coverage=coverage(s=3))
    assert Entry.decode(written.encode()) == written
    assert is_shown(written.encode())


def test_an_entry_of_the_first_format_is_read_and_written_in_the_present_one() -> None:
    entry = Entry.decode(FIRST_FORMAT)
    assert entry.state == {"seen": 3}
    assert entry.coverage == Coverage(
        positions={"t/0": 7}, recent={"e1": None, "e2": None}, generation=4
    )
    assert Entry.decode(entry.encode()) == entry
    assert entry.encode().startswith(b'{"version":2,')
    assert is_shown(FIRST_FORMAT)


def test_the_first_format_without_a_generation_is_of_the_first_one() -> None:
    assert Entry.decode(b'{"state":{},"positions":{},"recent":[]}').coverage.generation == 0


def test_each_event_replaces_one_id_of_the_first_format() -> None:
    known = Coverage.decode(FIRST_FORMAT)
    known.advance("t/0", 8, None, -1)
    assert list(known.recent) == ["e2"]
    known.advance("t/0", 9, None, -1)
    assert b"recent" not in known.encode()


@given(source=st.text(), generation=st.integers(0, 2**31), position=st.integers(0, 2**62))
def test_a_coverage_of_one_source_is_written_as_any_other(
    source: str, generation: int, position: int
) -> None:
    known = OneSource.of(source, generation)
    line = known.beginning + b"%d}}" % position
    assert line == known.coverage(position).encode()
    assert Coverage.decode(line) == Coverage(positions={source: position}, generation=generation)


def test_an_entry_without_events_is_covered_by_nothing() -> None:
    assert OneSource.of("s", 3).coverage(-1) == coverage(3)
