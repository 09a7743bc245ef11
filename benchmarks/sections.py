"""A topic in sections, one for each number of aggregates, all partitions equally full. Pure.

Chance would give ten aggregates one partition with half of the events: what is compared is the
number of keys, so every partition gets as many events as the next.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from benchmarks.repositories import repository_id
from streams.partitioner import partition_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """So many events, spread over so many aggregates."""

    aggregates: int
    events: int


class Placed(NamedTuple):
    """One event of a section."""

    number: int
    aggregate: int
    partition: int


def aggregates_by_partition(count: int, partitions: int) -> list[list[int]]:
    """The first numbers of repositories of which every partition has its share of `count`."""
    shares = [count // partitions + (number < count % partitions) for number in range(partitions)]
    found: list[list[int]] = [[] for _ in range(partitions)]
    number, missing = 0, count
    while missing:
        partition = partition_of(f"Repository/{repository_id(number)}".encode(), partitions)
        if len(found[partition]) < shares[partition]:
            found[partition].append(number)
            missing -= 1
        number += 1
    return found


def events_of(section: Section, first: int, partitions: int) -> Iterator[Placed]:
    """The events of a section, numbered from `first`, one partition after the other."""
    numbers = aggregates_by_partition(section.aggregates, partitions)
    for index in range(section.events):
        partition = index % partitions
        own = numbers[partition]
        yield Placed(first + index, own[index // partitions % len(own)], partition)


def begin_of(sections: list[Section], index: int, partitions: int) -> list[int]:
    """The offsets at which a section begins; each section fills its partitions equally."""
    before = sum(section.events for section in sections[:index])
    return [before // partitions] * partitions
