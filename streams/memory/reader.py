"""Readers of the log in process."""

import asyncio
from collections.abc import Mapping, Sequence

from streams.memory.log import MemoryLog
from streams.records import RawRecord, TopicPartition


class Positions:
    """Where a reader is in each of its partitions."""

    def __init__(self, log: MemoryLog) -> None:
        self._log = log
        self._next: dict[TopicPartition, int] = {}

    def set(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Read these partitions, and only these, from these offsets."""
        self._next = dict(offsets)

    def seek(self, source: TopicPartition, offset: int) -> None:
        """Read this partition from `offset` next."""
        self._next[source] = offset

    def positions(self) -> Mapping[TopicPartition, int]:
        """The next offset to read, of each partition."""
        return dict(self._next)

    async def read(
        self, max_records: int, timeout_s: float, shares: int = 1
    ) -> Mapping[TopicPartition, list[RawRecord]]:
        """The next records, so many from each share of the partitions.

        Empty after `timeout_s` without any.
        """
        await asyncio.sleep(0)
        # Nothing may happen between taking and returning: the records belong to an assignment.
        found = self._take(max_records, shares)
        if not found:
            await self._log.arrival(timeout_s)
            found = self._take(max_records, shares)
        return found

    def _take(self, max_records: int, shares: int) -> dict[TopicPartition, list[RawRecord]]:
        found: dict[TopicPartition, list[RawRecord]] = {}
        rooms = [max_records] * shares
        for place, (source, start) in enumerate(sorted(self._next.items())):
            share = place % shares
            records = list(self._log.records(source, start)[: rooms[share]])
            if records:
                found[source] = records
                self._next[source] = records[-1].offset + 1
                rooms[share] -= len(records)
        return found


class MemoryReader:
    """Implements RecordReader."""

    def __init__(self, log: MemoryLog, topics: Sequence[str]) -> None:
        self._log = log
        self._topics = tuple(topics)
        self._positions = Positions(log)

    async def start(self) -> None:
        """Begin at the first records. Raises TopicMissing."""
        self._positions.set(await self.beginning())

    async def partitions(self) -> tuple[TopicPartition, ...]:
        """All partitions of the topics."""
        return tuple(source for topic in self._topics for source in self._log.partitions(topic))

    async def beginning(self) -> Mapping[TopicPartition, int]:
        """Zero everywhere: nothing is ever deleted."""
        return dict.fromkeys(await self.partitions(), 0)

    async def end(self) -> Mapping[TopicPartition, int]:
        """The offset that the next record will get, per partition."""
        return {source: self._log.end(source) for source in await self.partitions()}

    async def offsets_at(self, timestamp_ms: int) -> Mapping[TopicPartition, int]:
        """The first offset at or after a time, else the end."""
        return {
            source: next(
                (
                    record.offset
                    for record in self._log.records(source)
                    if record.timestamp_ms >= timestamp_ms
                ),
                self._log.end(source),
            )
            for source in await self.partitions()
        }

    def seek(self, position: TopicPartition, offset: int) -> None:
        """Read this partition from `offset` next."""
        self._positions.seek(position, offset)

    async def read(
        self, max_records: int = 500, timeout_s: float = 1.0
    ) -> Mapping[TopicPartition, list[RawRecord]]:
        """The next records; empty after `timeout_s` without any."""
        return await self._positions.read(max_records, timeout_s)

    async def close(self) -> None:
        """Read nothing more."""
        self._positions.set({})
