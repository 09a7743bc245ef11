"""Catch-up subscriptions: all stored events from a place on, then the new ones, none twice.

History is read out of Postgres, page by page, by (partition, offset); where the sink has not stored
further, the Kafka tail of `store.events` is read on from exactly that offset. Use it so:

    subscription = CatchUp(edges, topic_id, partitions=range(4))
    start = await checkpoints.load("my-search-index", topic_id)
    async for batch in subscription.batches(start, stop):
        async with database.transaction() as connection:
            ...  # work on batch.events
            await checkpoints.advance(connection, "my-search-index", batch)

A batch belongs to one partition and may have no events. Its `next` is the checkpoint behind it:
kept in the transaction of the work, each event has its effect once; kept after it, at least once.
`connectors.catch_up_service` puts real parts together.

What is promised: every event that the sink stores is delivered, in the order of its partition; an
event that was archived again within 8,192 records of its partition is delivered once. Live events
come before the sink has judged them: one that it will refuse, because its version is taken, may be
among them. Postgres or Kafka being away is waited for.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from connectors.backoff import delays, pause, until_available
from connectors.catch_up_course import RECENT, Course
from connectors.catch_up_status import CatchUpStatus
from connectors.page import PAGE_ROWS, is_last
from schemas.event import Event
from schemas.topics import STORE_EVENTS
from streams.log import PartitionFetcher
from streams.reading import EventReading, Unreadable
from streams.records import RawRecord, TopicPartition

FETCH_RECORDS: Final = 2_000
FETCH_S: Final = 0.5
FIRST_DELAY_S: Final = 0.1
LONGEST_DELAY_S: Final = 5.0
LOOK_AGAIN_S: Final = 0.2
"""How often it is looked whether the sink has judged a record."""

Result = TypeVar("Result")


class StoredRecord(NamedTuple):
    """A record of the archive as the sink has stored it."""

    offset: int
    event_id: str
    framed: bytes


class StoredPage(NamedTuple):
    """The next stored records of a partition.

    `stored_up_to`: everything below this offset was stored, or is no event, before they were read.
    `is_last`: there were no more of them.
    """

    records: Sequence[StoredRecord]
    stored_up_to: int
    is_last: bool = False


class StoredRecords(Protocol):
    """Reads the archive out of the database."""

    async def page(self, topic_id: str, partition: int, offset: int, rows: int) -> StoredPage:
        """The records of a partition from an offset on: so many, or as many bytes as a page has.

        Raises InfrastructureError.
        """
        ...

    async def ids_before(
        self, topic_id: str, partition: int, offset: int, limit: int
    ) -> Sequence[str]:
        """The ids of the last records before an offset, the latest last."""
        ...


class CatchUpBatch(NamedTuple):
    """What one partition had next.

    The checkpoint moves from `previous` to `next`, also where there are no events in between.
    """

    topic_id: str
    partition: int
    events: Sequence[Event[Any]]
    previous: int
    next: int
    is_live: bool


class _Found(NamedTuple):
    """What a record holds, None when it is not wanted. None in its place: stopped by then."""

    event: Event[Any] | Unreadable | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CatchUpEdges:
    """What a subscription stands on. `reading` decides which types are wanted."""

    stored: StoredRecords
    reading: EventReading
    open_fetcher: Callable[[], PartitionFetcher]
    topic: str = STORE_EVENTS


class CatchUp:
    """Reads partitions of the archive from checkpoints on. Use one for one iteration at a time."""

    def __init__(self, edges: CatchUpEdges, topic_id: str, partitions: Iterable[int]) -> None:
        """`topic_id` is Kafka's id of the archive: it tells one Kafka from another."""
        self._edges = edges
        self._topic_id = topic_id
        self._partitions = sorted(partitions)
        self.status = CatchUpStatus(partitions=self._partitions)

    async def batches(
        self, start: Mapping[int, int], stop: asyncio.Event
    ) -> AsyncIterator[CatchUpBatch]:
        """Everything from these offsets on, then what is new, until `stop` is set.

        A partition without an offset is read from its beginning. Raises SchemaError for a stored
        event that this process cannot read, and what is no outage.
        """
        courses: dict[int, Course] = {}
        for partition in self._partitions:
            course = await self._available(
                partial(self._course, partition, start.get(partition, 0)), stop
            )
            if course is None:
                return
            courses[partition] = course
        async for batch in self._history(courses, stop):
            yield batch
        if not stop.is_set():
            async for batch in self._live(courses, stop):
                yield batch

    async def _course(self, partition: int, start: int) -> Course:
        stored = self._edges.stored
        page = await stored.page(self._topic_id, partition, start, 0)
        position = min(start, page.stored_up_to)
        recent = await stored.ids_before(self._topic_id, partition, position, RECENT)
        return Course(start, position, recent)

    async def _history(
        self, courses: Mapping[int, Course], stop: asyncio.Event
    ) -> AsyncIterator[CatchUpBatch]:
        """A page of each partition in turn, until each has come to where the sink is."""
        behind = list(courses)
        while behind:
            for partition in tuple(behind):
                course = courses[partition]
                page = await self._page(partition, course.position, PAGE_ROWS, stop)
                if page is None:
                    return
                if is_last(len(page.records), sum(len(it.framed) for it in page.records)):
                    behind.remove(partition)
                    self.status.live.add(partition)
                    page = page._replace(is_last=True)
                batch = await self._stored_batch(partition, course, page, stop)
                if batch is None:
                    return
                if batch.next > batch.previous:
                    yield batch

    async def _stored_batch(
        self, partition: int, course: Course, page: StoredPage, stop: asyncio.Event
    ) -> CatchUpBatch | None:
        previous = course.checkpoint
        events: list[Event[Any]] = []
        for record in page.records:
            if course.take(record.offset, record.event_id):
                raw = RawRecord(self._edges.topic, partition, record.offset, 0, None, record.framed)
                found = await self._read(raw, stop)
                if found is None:
                    return None
                if isinstance(found.event, Unreadable):
                    raise found.event.error
                if found.event is not None:
                    events.append(found.event)
        if page.is_last:
            course.pass_by(page.stored_up_to)
        return self._batch(partition, course, events, previous, is_live=False)

    async def _live(
        self, courses: Mapping[int, Course], stop: asyncio.Event
    ) -> AsyncIterator[CatchUpBatch]:
        """The tail of the log, each partition from where its history ended."""
        sources = {TopicPartition(self._edges.topic, partition): partition for partition in courses}
        fetcher = self._edges.open_fetcher()
        try:
            starts = {source: courses[partition].position for source, partition in sources.items()}
            await self._available(partial(self._begin, fetcher, starts), stop)
            while not stop.is_set():
                fetched = await self._available(
                    partial(fetcher.fetch, list(sources), FETCH_RECORDS, FETCH_S), stop
                )
                for source, records in (fetched or {}).items():
                    partition = sources[source]
                    batch = await self._live_batch(partition, courses[partition], records, stop)
                    if batch is None:
                        return
                    if batch.next > batch.previous:
                        yield batch
        finally:
            await fetcher.close()

    async def _live_batch(
        self, partition: int, course: Course, records: Sequence[RawRecord], stop: asyncio.Event
    ) -> CatchUpBatch | None:
        previous = course.checkpoint
        events: list[Event[Any]] = []
        for record in records:
            if record.offset < course.position:
                continue
            found = await self._read(record, stop)
            if found is None:
                return None
            if isinstance(found.event, Unreadable):
                judged = await self._judged(partition, course, record.offset, stop)
                if judged is None:
                    return None
                events += judged
            elif found.event is None:
                course.pass_by(record.offset + 1)
            elif course.take(record.offset, found.event.id):
                events.append(found.event)
        return self._batch(partition, course, events, previous, is_live=True)

    async def _judged(
        self, partition: int, course: Course, offset: int, stop: asyncio.Event
    ) -> Sequence[Event[Any]] | None:
        """What the sink made of a record that cannot be read here: an event, or none."""
        while True:
            page = await self._page(partition, offset, 1, stop)
            if page is None:
                return None
            if page.stored_up_to > offset:
                only = [record for record in page.records if record.offset == offset]
                one = StoredPage(only, offset + 1, is_last=True)
                batch = await self._stored_batch(partition, course, one, stop)
                return None if batch is None else batch.events
            await pause(LOOK_AGAIN_S, stop)

    async def _page(
        self, partition: int, offset: int, rows: int, stop: asyncio.Event
    ) -> StoredPage | None:
        page = partial(self._edges.stored.page, self._topic_id, partition, offset, rows)
        return None if stop.is_set() else await self._available(page, stop)

    async def _read(self, record: RawRecord, stop: asyncio.Event) -> _Found | None:
        async def attempt() -> _Found:
            return _Found(await self._edges.reading.read(record))

        return await self._available(attempt, stop)

    @staticmethod
    async def _begin(fetcher: PartitionFetcher, starts: Mapping[TopicPartition, int]) -> bool:
        await fetcher.start(starts)
        return True

    def _batch(
        self,
        partition: int,
        course: Course,
        events: Sequence[Event[Any]],
        previous: int,
        *,
        is_live: bool,
    ) -> CatchUpBatch:
        self.status.events += len(events)
        self.status.next[partition] = course.checkpoint
        return CatchUpBatch(self._topic_id, partition, events, previous, course.checkpoint, is_live)

    async def _available(
        self, attempt: Callable[[], Awaitable[Result]], stop: asyncio.Event
    ) -> Result | None:
        return await until_available(
            attempt,
            schedule=delays(FIRST_DELAY_S, LONGEST_DELAY_S),
            stop=stop,
            waiting=self.status.wait_for,
        )
