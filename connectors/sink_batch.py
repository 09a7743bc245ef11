"""Pure: which records of a read may be stored, and how far they advance each partition."""

import sys
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

from connectors.sink_target import Batch, Claim, PlacedRow
from streams.records import RawRecord, TopicPartition

_NEVER: Final = sys.maxsize
"""Above every offset."""

SPLIT_FROM: Final = 500
"""A batch of fewer records is stored at once: a second commit would cost more than it saves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkBatch:
    """Records of owned partitions, in order per partition, none of them stored before."""

    records: Sequence[RawRecord]
    claims: Mapping[int, Claim]
    next: Mapping[int, int]

    @classmethod
    def of(
        cls, read: Mapping[TopicPartition, Sequence[RawRecord]], claims: Mapping[int, Claim]
    ) -> Self:
        """Keep what is owned, and not below the next offset, where everything is stored already."""
        kept: list[RawRecord] = []
        following: dict[int, int] = {}
        for source, found in read.items():
            claim = claims.get(source.partition)
            if claim is None:
                continue
            is_fresh = bool(found) and found[0].offset >= claim.next
            fresh = found if is_fresh else [it for it in found if it.offset >= claim.next]
            if fresh:
                kept += fresh
                following[source.partition] = fresh[-1].offset + 1
        return cls(records=kept, claims={at: claims[at] for at in following}, next=following)

    def to_store(self, rows: Sequence[PlacedRow]) -> Batch:
        """The rows that these records became, with the advance of all of them.

        Rows of records that are not among these are left out.
        """
        starts = {partition: claim.next for partition, claim in self.claims.items()}
        return Batch(
            rows=[
                placed
                for placed in rows
                for (partition, offset) in (placed[0],)
                if starts.get(partition, _NEVER) <= offset
            ],
            claims=self.claims,
            next=self.next,
        )

    def parts(self, most: int) -> list[Self]:
        """The same in parts of whole partitions, at most so many: each is stored on its own."""
        if len(self.records) < SPLIT_FROM:
            return [self]
        sizes = Counter(record.partition for record in self.records)
        return [self._part(partitions) for partitions in _evenly(sizes, most)]

    def _part(self, partitions: Collection[int]) -> Self:
        return type(self)(
            records=[record for record in self.records if record.partition in partitions],
            claims={at: self.claims[at] for at in partitions},
            next={at: self.next[at] for at in partitions},
        )


def _evenly(sizes: Mapping[int, int], most: int) -> list[list[int]]:
    """The partitions in groups, at most so many, about as large as each other."""
    groups: list[list[int]] = [[] for _ in range(min(most, len(sizes)))]
    filled = [0] * len(groups)
    for partition in sorted(sizes, key=lambda it: (-sizes[it], it)):
        smallest = filled.index(min(filled))
        groups[smallest].append(partition)
        filled[smallest] += sizes[partition]
    return groups
