"""The fetcher of the log in process."""

import asyncio
from collections.abc import Collection, Mapping, Sequence

from streams.memory.log import MemoryLog
from streams.records import RawRecord, TopicPartition


class MemoryFetcher:
    """Implements PartitionFetcher."""

    def __init__(self, log: MemoryLog) -> None:
        self._log = log
        self._next: dict[TopicPartition, int] = {}

    async def start(self, starts: Mapping[TopicPartition, int]) -> None:
        """See PartitionFetcher."""
        self._next = dict(starts)

    async def fetch(
        self, sources: Collection[TopicPartition], max_records: int, timeout_s: float
    ) -> Mapping[TopicPartition, Sequence[RawRecord]]:
        """See PartitionFetcher."""
        await asyncio.sleep(0)
        found = self._take(sources, max_records)
        if not found:
            await self._log.arrival(timeout_s)
            found = self._take(sources, max_records)
        return found

    async def ends(self, sources: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        """See PartitionFetcher."""
        return {source: self._log.end(source) for source in sources}

    def known_ends(self) -> Mapping[TopicPartition, int]:
        """See PartitionFetcher."""
        return {source: self._log.end(source) for source in self._next}

    async def position(self, source: TopicPartition) -> int:
        """See PartitionFetcher."""
        return self._next[source]

    async def close(self) -> None:
        """Read nothing more."""
        self._next.clear()

    def _take(
        self, sources: Collection[TopicPartition], max_records: int
    ) -> dict[TopicPartition, list[RawRecord]]:
        found: dict[TopicPartition, list[RawRecord]] = {}
        room = max_records
        for source in sources:
            records = list(self._log.records(source, self._next[source])[:room])
            if records:
                found[source] = records
                self._next[source] = records[-1].offset + 1
                room -= len(records)
        return found
