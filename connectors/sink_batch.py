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
        cls,
        records: Mapping[TopicPartition, Sequence[RawRecord]],
        *,
        before: Mapping[int, Claim],
        now: Mapping[int, Claim],
    ) -> Self:
        """Keep what was read under a claim that still stands.

        A read that began before the claim may have started elsewhere than at its offset: it is
        dropped, and read again from there. Records below the offset are stored already.
        """
        kept: list[RawRecord] = []
        claims: dict[int, Claim] = {}
        following: dict[int, int] = {}
        for source, found in records.items():
            claim = now.get(source.partition)
            if claim is None or claim != before.get(source.partition):
                continue
            fresh = [record for record in found if record.offset >= claim.next]
            if fresh:
                kept += fresh
                claims[source.partition] = claim
                following[source.partition] = fresh[-1].offset + 1
        return cls(records=kept, claims=claims, next=following)

    def to_store(self, rows: Sequence[PlacedRow]) -> Batch:
        """The rows that these records became, with the advance of all of them."""
        return Batch(rows=rows, claims=self.claims, next=self.next)
