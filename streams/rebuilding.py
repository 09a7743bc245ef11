"""Tables built anew from the archive, for when their changelogs cannot give them back in time.

The archive keeps every event with the place where it was first read, in the order of its partition.
So a table that is folded from it holds the same events as before, and knows what it holds.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from schemas.event import Event
from schemas.topics import STORE_EVENTS
from streams.delivery import Delivery
from streams.entry_sending import write_entries
from streams.errors import InfrastructureError
from streams.log import PartitionFetcher, RecordSender
from streams.parking.loading import HeldBack
from streams.partitioner import partition_of
from streams.projecting import TableBatch
from streams.projection import Projection
from streams.reading import EventReading
from streams.records import LATE, ORIGIN, RawRecord, TopicPartition
from streams.table import Table
from streams.workload import Workload

FETCH_RECORDS: Final = 2_000
FETCH_S: Final = 0.5
LOOK_AGAIN_S: Final = 0.5
"""How often it is looked whether the archive has come as far as the subscription."""

Committed = Callable[[str], Awaitable[Mapping[TopicPartition, int]]]
"""The committed offsets of a consumer group."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RebuildEdges:
    """Where a rebuild reads and writes."""

    reading: EventReading
    sender: RecordSender
    open_fetcher: Callable[[], PartitionFetcher]
    committed: Committed
    held_back: Callable[[Collection[int]], Awaitable[HeldBack]]
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


class TableRebuild:
    """Folds the archive into the tables of a subscription."""

    def __init__(
        self, workload: Workload, partitions: int, archive_group: str, edges: RebuildEdges
    ) -> None:
        """`partitions`: how many every topic has. `archive_group`: who writes the archive."""
        self._workload = workload
        self._count = partitions
        self._archive_group = archive_group
        self._edges = edges
        self._held_back = HeldBack({}, frozenset())

    async def rebuild(self, tables: Mapping[str, Table], partitions: Collection[int]) -> None:
        """Clear these partitions of all tables and fold the whole archive into them.

        Waits until the archive has what the subscription has committed: that will not be read
        again. An event that cannot be folded stays left out, as it was; what waits to be tried
        again is left for that. Raises BrokerUnavailable
        and TopicMissing.
        """
        for table in tables.values():
            for number in partitions:
                table.partition(number).clear()
        await self._until_archived()
        self._held_back = await self._edges.held_back(partitions)
        sources = [TopicPartition(STORE_EVENTS, number) for number in range(self._count)]
        fetcher = self._edges.open_fetcher()
        try:
            await fetcher.start(dict.fromkeys(sources, 0))
            ends = await fetcher.ends(sources)
            folded = await self._fold(fetcher, ends, tables, frozenset(partitions))
        finally:
            await fetcher.close()
        log.info("tables rebuilt from the archive", events=folded, partitions=len(partitions))

    async def _until_archived(self) -> None:
        """Wait until nothing that was committed is still on its way to the archive."""
        while True:
            ours = await self._edges.committed(self._workload.group)
            archived = await self._edges.committed(self._archive_group)
            behind = [
                source
                for source, offset in ours.items()
                if source.topic.startswith("events.") and archived.get(source, 0) < offset
            ]
            if not behind:
                return
            log.info("the archive is behind", partitions=len(behind))
            await self._edges.sleep(LOOK_AGAIN_S)

    async def _fold(
        self,
        fetcher: PartitionFetcher,
        ends: Mapping[TopicPartition, int],
        tables: Mapping[str, Table],
        partitions: frozenset[int],
    ) -> int:
        folded = 0
        pending = {source for source, end in ends.items() if end > 0}
        while pending:
            fetched = await fetcher.fetch(sorted(pending), FETCH_RECORDS, FETCH_S)
            for records in fetched.values():
                folded += await self._fold_batch(records, tables, partitions)
            for source in list(pending):
                if await fetcher.position(source) >= ends[source]:
                    pending.remove(source)
        return folded

    async def _fold_batch(
        self, records: Sequence[RawRecord], tables: Mapping[str, Table], partitions: frozenset[int]
    ) -> int:
        deliveries: dict[int, dict[str, list[Delivery]]] = defaultdict(lambda: defaultdict(list))
        for record in records:
            event = await self._edges.reading.read(record)
            if isinstance(event, Event):
                for projection in self._workload.projections:
                    placed = self._placed(projection, record, event)
                    if placed is None or self._held_back.holds(projection, placed[1]):
                        continue
                    if placed[0] in partitions:
                        deliveries[placed[0]][projection.name].append((placed[1], event))
        for number, by_projection in deliveries.items():
            await self._write(number, by_projection, tables)
        return sum(len(found) for by_name in deliveries.values() for found in by_name.values())

    def _placed(
        self, projection: Projection, record: RawRecord, event: Event[object]
    ) -> tuple[int, RawRecord] | None:
        """The table partition that an archived event belongs to, and its record as first read."""
        if not projection.wants(event.type):
            return None
        try:
            key = event.key if projection.key is None else projection.key(event)
        except Exception as error:  # noqa: BLE001  # a team's function; the event is a dead letter
            log.info("an event has no key", table=projection.name, error=repr(error))
            return None
        origin = record.origin
        headers = tuple(header for header in record.headers if header[0] != ORIGIN)
        # What was archived late is told from repeats by its id: others of its source are folded.
        is_late = record.header(LATE) is not None
        place = record[:3] if is_late else origin
        first = RawRecord(*place, record.timestamp_ms, key.encode(), record.value, headers)
        number = origin.partition
        if projection.key is not None:
            number = partition_of(first.key or b"", self._count)
        return number, first

    @staticmethod
    def _fold_run(batch: TableBatch, projection: Projection, run: Iterable[Delivery]) -> None:
        for record, event in batch.fold_all(projection, run):
            try:
                batch.fold(projection, record, event)
            except InfrastructureError:
                raise  # the keys of personal data are away: the event was no dead letter
            except Exception as error:  # noqa: BLE001  # it was a dead letter before
                name = projection.name
                log.info("left out again", table=name, event_id=event.id, error=repr(error))
                batch.leave_out(projection, record)

    async def _write(
        self,
        number: int,
        deliveries: Mapping[str, Sequence[Delivery]],
        tables: Mapping[str, Table],
    ) -> None:
        batch = TableBatch(tables, number)
        by_name = {known.name: known for known in self._workload.projections}
        for name, found in deliveries.items():
            projection = by_name[name]
            self._fold_run(batch, projection, found)
        while failures := batch.settle():
            for failed in failures:
                if failed.is_behind:
                    # What stood in its way may have been dropped: it is folded without that.
                    batch.fold(failed.projection, failed.record, failed.event)
                else:
                    name = failed.projection.name
                    log.info("left out again", table=name, event_id=failed.event.id)
        batch.store(await write_entries(self._edges.sender, batch.changelog()))
