"""What the tables of projections claim, read from their changelogs: their entries' coverage."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing

from connectors.audit_ports import ProjectionCheckpoint
from connectors.bounded_reading import read_until
from schemas.topics import CHANGELOG_SUFFIX
from streams.coverage import Coverage
from streams.log import PartitionFetcher
from streams.projection import split
from streams.records import RawRecord, TopicPartition
from streams.window import is_reserved


class ChangelogCheckpoints:
    """Implements ProjectionCheckpoints for changelogs, given with their partition counts."""

    def __init__(
        self, fetchers: Callable[[], PartitionFetcher], changelogs: Mapping[str, int]
    ) -> None:
        self._fetchers = fetchers
        self._changelogs = changelogs

    async def read(self) -> Sequence[ProjectionCheckpoint]:
        """See ProjectionCheckpoints. Holds one position a source, whatever the entries.

        Changelogs of other tables, which say nothing of what they hold, are left out.
        """
        read = [await self._read(topic, count) for topic, count in self._changelogs.items()]
        return [checkpoint for checkpoint in read if checkpoint is not None]

    async def _read(self, topic: str, partitions: int) -> ProjectionCheckpoint | None:
        claimed = _Claimed()
        fetcher = self._fetchers()
        sources = [TopicPartition(topic, number) for number in range(partitions)]
        await fetcher.start(dict.fromkeys(sources, 0))
        try:
            ends = await fetcher.ends(sources)
            async with aclosing(read_until(fetcher, {}, ends)) as batches:
                async for batch in batches:
                    for records in batch.values():
                        claimed.take(records)
        finally:
            await fetcher.close()
        if claimed.foreign and not claimed.positions:
            return None
        return ProjectionCheckpoint(
            name=topic.removesuffix(CHANGELOG_SUFFIX),
            positions=claimed.positions,
            missing=sum(claimed.missing.values()),
        )


class _Claimed:
    """The furthest position per source, and what single keys lack."""

    def __init__(self) -> None:
        self.positions: dict[TopicPartition, int] = {}
        self.missing: dict[bytes, int] = {}
        self.foreign = 0
        """Records that hold no coverage."""

    def take(self, records: Sequence[RawRecord]) -> None:
        for record in records:
            if record.key is None or record.value is None or is_reserved(record.key):
                continue
            try:
                coverage = Coverage.decode(split(record.value).coverage)
            except (LookupError, TypeError, ValueError):
                self.foreign += 1
                continue
            for source, offset in coverage.positions.items():
                self._advance(source, offset)
            missing = sum(len(offsets) for offsets in coverage.missing.values())
            if missing:
                self.missing[record.key] = missing
            else:
                self.missing.pop(record.key, None)

    def _advance(self, source: str, offset: int) -> None:
        # Streams of emitted events have positions of their own, which no topic has.
        if "<" in source:
            return
        topic, _, partition = source.rpartition("/")
        at = TopicPartition(topic, int(partition))
        if offset > self.positions.get(at, -1):
            self.positions[at] = offset
