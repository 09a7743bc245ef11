"""The restore: Postgres rebuilt from the compacted topic, beside whatever it holds already.

Rows are added in the order of the topic, with a restore's own offsets in the same transaction: one
that was killed goes on where it stopped. Events that were appended and not relayed are in no topic:
while some wait, nothing is done.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Final

from connectors.bounded_reading import read_until
from connectors.errors import VersionTaken
from connectors.restore_target import Remaining, Restored, RestoreTarget
from connectors.sink_reading import Refused, SinkReading
from connectors.sink_target import Batch, Claim
from streams.log import PartitionFetcher
from streams.records import RawRecord, TopicPartition

NAMED: Final = 10
"""So many records that could not be stored are named; all are counted."""

RestoreListener = Callable[[int, int], None]
"""Told how many offsets of the topic are done, and how many there are."""


@dataclass(slots=True, kw_only=True)
class RestoreReport:
    """What this process has done of a restore."""

    stored: int = 0
    """Events that were missing."""
    known: int = 0
    """Records whose events were there already."""
    refused: int = 0
    """Records that are no event of ours, or whose version another event has."""
    named: list[Refused] = field(default_factory=list)
    to_rebuild: set[str] = field(default_factory=set)
    """Projections (`app/name`) that had passed what was missing: their rows lack it."""

    def add(self, restored: Restored) -> None:
        """Count a batch."""
        self.stored += restored.stored.new
        self.known += restored.stored.repeated
        self.to_rebuild |= restored.passed_by

    def as_mapping(self) -> Mapping[str, Any]:
        """For JSON."""
        return {
            "stored": self.stored,
            "known": self.known,
            "refused": self.refused,
            "to_rebuild": sorted(self.to_rebuild),
        }

    def refuse(self, refused: Sequence[Refused]) -> None:
        """Count these, and keep the first."""
        self.refused += len(refused)
        self.named += refused[: NAMED - len(self.named)]


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreEdges:
    """What a restore stands on, passed in."""

    fetchers: Callable[[], PartitionFetcher]
    target: RestoreTarget
    reading: SinkReading


class StoreRestore:
    """One restore from `sources`, all partitions of `store.events`."""

    def __init__(
        self,
        edges: RestoreEdges,
        *,
        topic_id: str,
        sources: Sequence[TopicPartition],
        batch_records: int,
        on_progress: RestoreListener = lambda _done, _total: None,
    ) -> None:
        """`topic_id` is Kafka's id of the topic: it tells one Kafka from another."""
        self._edges = edges
        self._topic_id = topic_id
        self._sources = {source.partition: source for source in sources}
        self._batch_records = batch_records
        self._on_progress = on_progress
        self._report = RestoreReport()

    async def run(self) -> RestoreReport:
        """Restore what stood in the topic when the restore began.

        Raises OutboxNotEmpty, ForeignCluster, Fenced when another restore has taken over, and
        DatabaseUnavailable or BrokerUnavailable: then run it again, it goes on where it stopped.
        """
        remaining = await self._edges.target.begin(self._topic_id, await self._ends())
        if any(it.claim.next < it.until for it in remaining.values()):
            await self._read(remaining)
        await self._edges.target.end(self._topic_id)
        return self._report

    async def _read(self, remaining: Mapping[int, Remaining]) -> None:
        starts = {self._sources[at]: it.claim.next for at, it in remaining.items()}
        fetcher = self._edges.fetchers()
        await fetcher.start(starts)
        try:
            await self._copy(fetcher, starts, remaining)
        finally:
            await fetcher.close()

    async def _ends(self) -> Mapping[int, int]:
        fetcher = self._edges.fetchers()
        await fetcher.start(dict.fromkeys(self._sources.values(), 0))
        try:
            ends = await fetcher.ends(list(self._sources.values()))
        finally:
            await fetcher.close()
        return {source.partition: end for source, end in ends.items()}

    async def _copy(
        self,
        fetcher: PartitionFetcher,
        starts: Mapping[TopicPartition, int],
        remaining: Mapping[int, Remaining],
    ) -> None:
        ends = {self._sources[at]: it.until for at, it in remaining.items()}
        claims = {at: it.claim for at, it in remaining.items()}
        total = sum(ends.values())
        async with aclosing(read_until(fetcher, starts, ends, self._batch_records)) as batches:
            async for read in batches:
                following = {
                    source.partition: records[-1].offset + 1
                    for source, records in read.items()
                    if records
                }
                records = [record for found in read.values() for record in found]
                await self._store(records, {at: claims[at] for at in following}, following)
                for at, offset in following.items():
                    claims[at] = claims[at]._replace(next=offset)
                self._on_progress(sum(claim.next for claim in claims.values()), total)

    async def _store(
        self,
        records: Sequence[RawRecord],
        claims: Mapping[int, Claim],
        following: Mapping[int, int],
    ) -> None:
        read = await self._edges.reading.read(records)
        while True:
            self._report.refuse(read.refused)
            batch = Batch(rows=read.rows, claims=claims, next=following)
            try:
                self._report.add(await self._edges.target.store(self._topic_id, batch))
            except VersionTaken as error:
                read = read.refusing(error)
            else:
                return
