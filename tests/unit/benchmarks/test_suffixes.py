from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.suffixes import SuffixIndex

Written = list[tuple[int, int]]
EVENTS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2**40)), min_size=5, max_size=60)


def _index(written: Written) -> SuffixIndex:
    index = SuffixIndex(partitions=3, step=5)
    for partition, summand in written:
        index.add(partition, summand)
    return index


@given(written=EVENTS)
def test_a_suffix_begins_where_as_many_events_follow_and_has_their_sum(written: Written) -> None:
    index = _index(written)
    whole = written[: index.supply.events]
    for events in range(5, len(whole) + 1, 5):
        suffix = index.suffix(events)
        before, last = whole[:-events], whole[-events:]
        assert list(suffix.starts) == [
            sum(partition == number for partition, _ in before) for number in range(3)
        ]
        assert suffix.checksum == sum(summand for _, summand in last)


@given(written=EVENTS)
def test_an_index_that_was_stored_answers_as_before(written: Written) -> None:
    index = _index(written)
    stored = SuffixIndex.from_json(json.loads(json.dumps(index.to_json())))
    assert stored.ends == index.ends
    assert stored.suffix(5) == index.suffix(5)


@pytest.mark.parametrize("events", [0, 3, -5, 15])
def test_a_suffix_of_part_steps_or_more_than_there_is_is_refused(events: int) -> None:
    index = _index([(0, 1)] * 12)
    with pytest.raises(ValueError, match="no whole steps"):
        index.suffix(events)
