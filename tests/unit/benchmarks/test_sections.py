"""Sections fill every partition equally, whatever the number of aggregates."""

from __future__ import annotations

from collections import Counter

import pytest

from benchmarks.repositories import repository_id
from benchmarks.sections import Section, aggregates_by_partition, begin_of, events_of
from streams.partitioner import partition_of

PARTITIONS = 4


@pytest.mark.parametrize("aggregates", [4, 10, 1_000])
def test_a_section_has_its_aggregates_and_equal_partitions(aggregates: int) -> None:
    section = Section(aggregates=aggregates, events=4_000)
    placed = list(events_of(section, first=100, partitions=PARTITIONS))
    assert [event.number for event in placed] == list(range(100, 4_100))
    assert Counter(event.partition for event in placed) == dict.fromkeys(range(PARTITIONS), 1_000)
    assert len({event.aggregate for event in placed}) == aggregates


def test_every_event_stands_in_the_partition_of_its_key() -> None:
    for event in events_of(Section(aggregates=10, events=400), first=0, partitions=PARTITIONS):
        key = f"Repository/{repository_id(event.aggregate)}".encode()
        assert partition_of(key, PARTITIONS) == event.partition


def test_shares_of_partitions_differ_by_one_at_most() -> None:
    shares = [len(own) for own in aggregates_by_partition(10, PARTITIONS)]
    assert shares == [3, 3, 2, 2]


def test_a_section_begins_where_the_ones_before_end() -> None:
    sections = [Section(aggregates=1, events=400), Section(aggregates=2, events=800)]
    assert begin_of(sections, 0, PARTITIONS) == [0, 0, 0, 0]
    assert begin_of([*sections, sections[0]], 2, PARTITIONS) == [300, 300, 300, 300]
