"""Pure: which records of a read may be stored, and how far they advance each partition."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from connectors.sink_target import Batch, Claim, PlacedRow
from streams.records import RawRecord, TopicPartition


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
            fresh = [record for record in found if record.offset >= claim.next]
            if fresh:
                kept += fresh
                following[source.partition] = fresh[-1].offset + 1
        return cls(records=kept, claims={at: claims[at] for at in following}, next=following)

    def to_store(self, rows: Sequence[PlacedRow]) -> Batch:
        """The rows that these records became, with the advance of all of them."""
        return Batch(rows=rows, claims=self.claims, next=self.next)
