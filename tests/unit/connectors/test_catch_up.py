"""From history to the live tail: nothing missed, nothing twice, wherever the one ends."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors import catch_up, page
from connectors.catch_up import (
    CatchUp,
    CatchUpBatch,
    CatchUpEdges,
    StoredPage,
    StoredRecord,
)
from connectors.catch_up_course import RECENT, Course
from connectors.errors import DatabaseUnavailable
from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.errors import NotAnEvent
from schemas.event import Event, EventFactory
from schemas.events.system import SystemWorkerStarted
from schemas.headers import event_headers
from schemas.topics import STORE_EVENTS
from streams.memory.fetcher import MemoryFetcher
from streams.memory.log import MemoryLog
from streams.memory.schemas import MemoryWriterSchemas
from streams.reading import EventReading
from streams.records import OutgoingRecord, TopicPartition

CATALOG = Catalog.load()
CODEC = Codec(CATALOG)
FACTORY = EventFactory(CATALOG, "tests")
SOURCE = TopicPartition(STORE_EVENTS, 0)


def event(number: int) -> Event[Any]:
    data = SystemWorkerStarted(process=str(number), host="h", pid=1)
    return FACTORY.create(data, id=f"id-{number}")


EVENTS = [event(number) for number in range(6)]


@dataclass
class Store:
    """Implements StoredRecords: what a sink made of the log, up to where it is."""

    log: MemoryLog
    stored_up_to: int = 0
    outages: int = 0
    judged: dict[int, Event[Any]] = field(default_factory=dict)
    moves_when_asked: int | None = None
    """How far the sink is, once it was asked for a single record."""

    async def page(self, topic_id: str, partition: int, offset: int, rows: int) -> StoredPage:
        if self.outages:
            self.outages -= 1
            raise DatabaseUnavailable
        records = [
            StoredRecord(record.offset, event_id, framed)
            for record in self.log.records(SOURCE, offset)
            if record.offset < self.stored_up_to
            for event_id, framed in self._event(record.offset, record.value)
        ]
        found = StoredPage(records[:rows], self.stored_up_to)
        if rows == 1 and self.moves_when_asked is not None:
            self.stored_up_to = self.moves_when_asked
        return found

    async def ids_before(
        self, topic_id: str, partition: int, offset: int, limit: int
    ) -> Sequence[str]:
        found = await self.page(topic_id, partition, 0, offset)
        return [record.event_id for record in found.records if record.offset < offset][-limit:]

    def _event(self, offset: int, value: bytes | None) -> list[tuple[str, bytes]]:
        if offset in self.judged:
            return [(self.judged[offset].id, CODEC.encode(self.judged[offset]))]
        try:
            return [(CODEC.view(value or b"").id, value or b"")]
        except NotAnEvent:
            return []


class Rig:
    """A log of one partition, its store, and subscriptions that read it."""

    def __init__(self) -> None:
        self.log = MemoryLog(1)
        self.store = Store(self.log)
        self.stop = asyncio.Event()

    def put(self, *numbers: int) -> None:
        for number in numbers:
            value = CODEC.encode(EVENTS[number])
            headers = event_headers(EVENTS[number])
            self.log.append(OutgoingRecord(STORE_EVENTS, b"k", value, headers))

    def put_bytes(self, value: bytes) -> None:
        self.log.append(OutgoingRecord(STORE_EVENTS, b"k", value))

    def subscription(self) -> CatchUp:
        reading = EventReading(CODEC, MemoryWriterSchemas(self.log, CODEC), lambda _type: True)
        edges = CatchUpEdges(
            stored=self.store, reading=reading, open_fetcher=lambda: MemoryFetcher(self.log)
        )
        return CatchUp(edges, "kafka-1", [0])

    async def read(
        self, start: Mapping[int, int], up_to: int, most: int = 1_000
    ) -> list[CatchUpBatch]:
        """Batches until the subscription has come so far, or there are so many."""
        batches: list[CatchUpBatch] = []
        reading = self.subscription().batches(start, self.stop)
        async with asyncio.timeout(10):
            async for batch in reading:
                batches.append(batch)
                if batch.next >= up_to or len(batches) == most:
                    break
        await reading.aclose()  # type: ignore[attr-defined]  # an asynchronous generator has it
        return batches


def ids(batches: Sequence[CatchUpBatch]) -> list[str]:
    return [event.id for batch in batches for event in batch.events]


async def test_history_ends_where_the_sink_is_and_the_log_goes_on_from_there() -> None:
    rig = Rig()
    rig.put(0, 1, 2, 3)
    rig.store.stored_up_to = 2
    batches = await rig.read({}, 4)
    assert ids(batches) == ["id-0", "id-1", "id-2", "id-3"]
    assert [(batch.is_live, batch.previous, batch.next) for batch in batches] == [
        (False, 0, 2),
        (True, 2, 4),
    ]


async def test_a_store_that_is_empty_leaves_everything_to_the_log() -> None:
    rig = Rig()
    rig.put(0, 1)
    assert ids(await rig.read({}, 2)) == ["id-0", "id-1"]


async def test_what_arrives_while_the_history_is_read_is_there_once() -> None:
    rig = Rig()
    rig.put(0, 1)
    rig.store.stored_up_to = 2
    found: list[str] = []
    async with asyncio.timeout(10):
        async for batch in rig.subscription().batches({}, rig.stop):
            found += ids([batch])
            if len(found) == 2:
                rig.put(2, 3)
                rig.store.stored_up_to = 3
            if len(found) == 4:
                rig.stop.set()
    assert found == ["id-0", "id-1", "id-2", "id-3"]


async def test_a_reader_ahead_of_the_sink_goes_on_where_it_left_and_knows_what_it_had() -> None:
    rig = Rig()
    rig.put(0, 1, 2)
    rig.store.stored_up_to = 1
    rig.put(2, 1, 0, 3)
    batches = await rig.read({0: 3}, 7)
    assert ids(batches) == ["id-3"]
    assert batches[0].previous == 3


async def test_an_outage_is_waited_for() -> None:
    rig = Rig()
    rig.put(0)
    rig.store.stored_up_to = 1
    rig.store.outages = 2
    assert ids(await rig.read({}, 1)) == ["id-0"]


async def test_a_record_that_is_no_event_is_passed_by_once_the_sink_has_judged_it() -> None:
    rig = Rig()
    rig.put(0)
    rig.put_bytes(b"no event")
    rig.put(1)
    rig.store.stored_up_to = 1
    rig.store.moves_when_asked = 3
    assert ids(await rig.read({}, 3)) == ["id-0", "id-1"]
    assert rig.store.stored_up_to == 3


async def test_a_record_that_only_the_sink_can_read_is_taken_from_the_store() -> None:
    rig = Rig()
    rig.put(0)
    rig.put_bytes(b"newer than this reader")
    rig.put(2)
    rig.store.stored_up_to = 1
    rig.store.judged = {1: EVENTS[1]}
    rig.store.moves_when_asked = 2
    assert ids(await rig.read({}, 3)) == ["id-0", "id-1", "id-2"]


async def test_a_subscription_ends_when_it_is_told_to_even_in_an_outage() -> None:
    rig = Rig()
    rig.store.outages = 1_000_000
    rig.stop.set()
    assert await rig.read({}, 1) == []


@given(data=st.data())
def test_each_event_comes_once_in_order_through_any_hand_over_and_any_restart(
    data: st.DataObject,
) -> None:
    """Copies anywhere, a sink that is anywhere, and readers that stop after any batch."""
    numbers = data.draw(st.lists(st.integers(0, 5), min_size=1, max_size=20))

    async def read_all() -> list[str]:
        rig = Rig()
        rig.put(*numbers)
        found: list[str] = []
        at = 0
        while at < len(numbers):
            least = rig.store.stored_up_to
            rig.store.stored_up_to = data.draw(st.integers(least, len(numbers)))
            up_to = data.draw(st.integers(at + 1, len(numbers)))
            most = data.draw(st.integers(1, 2))
            for batch in await rig.read({0: at}, up_to, most):
                assert batch.previous == at
                found += ids([batch])
                at = batch.next
        return found

    assert asyncio.run(read_all()) == [f"id-{number}" for number in dict.fromkeys(numbers)]


@given(
    copies=st.lists(st.integers(0, 5), max_size=30),
    hand_over=st.integers(0, 30),
    restart=st.integers(0, 30),
)
def test_a_course_delivers_the_first_copy_alone_though_the_tail_begins_early(
    copies: list[int], hand_over: int, restart: int
) -> None:
    """The log may give again what is below the hand-over; a restart remembers from the store."""
    records = [(offset, f"id-{number}") for offset, number in enumerate(copies)]
    course = Course(0, 0)
    delivered = [
        event_id for offset, event_id in records[:hand_over] if course.take(offset, event_id)
    ]
    delivered += [
        event_id for offset, event_id in records[:restart] if course.take(offset, event_id)
    ]
    stored = min(restart, hand_over)
    later = Course(course.checkpoint, stored, [event_id for _, event_id in records[:stored]])
    delivered += [event_id for offset, event_id in records if later.take(offset, event_id)]
    assert delivered == list(dict.fromkeys(event_id for _, event_id in records))


def test_a_course_remembers_so_many_ids_and_no_more() -> None:
    course = Course(0, 0)
    assert all(course.take(offset, str(offset)) for offset in range(RECENT + 1))
    assert not course.take(RECENT + 1, "1")
    assert course.take(RECENT + 2, "0")


def test_a_checkpoint_never_moves_back_while_a_course_only_remembers() -> None:
    course = Course(start=10, position=3)
    assert course.position == 3
    assert course.checkpoint == 10
    assert not course.take(5, "five")
    assert course.checkpoint == 10
    assert not course.take(12, "five")
    assert course.checkpoint == 13


async def test_batches_follow_each_other_without_a_hole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catch_up, "PAGE_ROWS", 2)
    monkeypatch.setattr(page, "PAGE_ROWS", 2)
    rig = Rig()
    rig.put(0, 1, 0, 2, 3, 4, 5)
    rig.store.stored_up_to = 5
    batches = await rig.read({}, 7)
    assert [(batch.previous, batch.next, len(batch.events)) for batch in batches] == [
        (0, 2, 2),
        (2, 4, 1),
        (4, 5, 1),
        (5, 7, 2),
    ]
    assert ids(batches) == [f"id-{number}" for number in range(6)]
    for start in (0, 2, 4, 5):
        assert (await rig.read({0: start}, 7, 1))[0].previous == start
