"""What an assignment reads: in order, nothing twice, nothing after it was closed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial

import pytest

from streams.attempts import Pause
from streams.errors import BrokerUnavailable
from streams.lane import LANE_RECORDS, Lanes
from streams.memory.fetcher import MemoryFetcher
from streams.memory.log import MemoryLog, MemorySender
from streams.processor import More, no_more
from streams.records import OutgoingRecord, RawRecord, TopicPartition
from streams.runtime.feed import Feed
from streams.serial_lane import SerialLane
from streams.turns import AtOnce

LOW = TopicPartition("events.domain.low", 0)
CRITICAL = TopicPartition("events.system.critical", 0)


class Seen:
    """A Process that notes offsets; closed, it finishes nothing."""

    def __init__(self) -> None:
        self.offsets: dict[TopicPartition, list[int]] = {LOW: [], CRITICAL: []}
        self.is_open = asyncio.Event()
        self.is_open.set()
        self.pause: Pause | None = None

    async def process(
        self, source: TopicPartition, records: Sequence[RawRecord], more: More = no_more
    ) -> None:
        await self.is_open.wait()
        self.offsets[source] += [record.offset for record in records]


class Breaking(MemoryFetcher):
    """Loses its broker after some fetches."""

    def __init__(self, log: MemoryLog, fetches: int) -> None:
        super().__init__(log)
        self._left = fetches

    async def fetch(
        self, sources: Collection[TopicPartition], max_records: int, timeout_s: float
    ) -> Mapping[TopicPartition, Sequence[RawRecord]]:
        if not self._left:
            raise BrokerUnavailable("the broker closed the connection")
        self._left -= 1
        return await super().fetch(sources, max_records, timeout_s)


@pytest.fixture
async def log() -> MemoryLog:
    return MemoryLog(partitions=1)


async def fill(log: MemoryLog, source: TopicPartition, count: int) -> None:
    sender = MemorySender(log)
    for number in range(count):
        await sender.send(
            OutgoingRecord(topic=source.topic, key=b"k", value=str(number).encode(), partition=0)
        )


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110  # any of many things may make it true
            await asyncio.sleep(0)


def reading(
    seen: Seen, open_fetcher: Callable[[], MemoryFetcher]
) -> tuple[Feed, Lanes, list[BaseException]]:
    lanes = Lanes(partial(SerialLane, seen, AtOnce()))
    failures: list[BaseException] = []
    return Feed(open_fetcher, lanes, failures.append), lanes, failures


async def test_each_partition_is_read_in_order_from_where_its_work_begins(log: MemoryLog) -> None:
    await fill(log, LOW, 3_000)
    await fill(log, CRITICAL, 5)
    seen = Seen()
    feed, lanes, failures = reading(seen, lambda: MemoryFetcher(log))
    feed.open({LOW: 10, CRITICAL: 0})
    await until(lambda: len(seen.offsets[LOW]) == 2_990 and len(seen.offsets[CRITICAL]) == 5)
    assert seen.offsets == {LOW: list(range(10, 3_000)), CRITICAL: list(range(5))}
    assert not failures
    feed.close()
    await lanes.close()


async def test_a_fetcher_that_loses_its_broker_is_replaced_by_one_that_goes_on(
    log: MemoryLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.runtime.feed.CONNECT_AGAIN_S", 0)
    await fill(log, LOW, 2_000)
    seen = Seen()
    feed, lanes, failures = reading(seen, lambda: Breaking(log, fetches=1))
    feed.open({LOW: 0})
    await until(lambda: len(seen.offsets[LOW]) == 2_000)
    assert seen.offsets[LOW] == list(range(2_000))
    assert not failures
    feed.close()
    await lanes.close()


async def test_no_more_is_read_than_the_lanes_have_room_for(log: MemoryLog) -> None:
    await fill(log, LOW, 3 * LANE_RECORDS)
    await fill(log, CRITICAL, 1)
    seen = Seen()
    seen.is_open.clear()
    feed, lanes, _ = reading(seen, lambda: MemoryFetcher(log))
    feed.open({LOW: 0, CRITICAL: 0})
    await until(lambda: lanes.unfinished > LANE_RECORDS // 2)
    await asyncio.sleep(0.01)
    assert lanes.unfinished <= LANE_RECORDS
    feed.close()
    await lanes.close()


async def test_an_idle_partition_holds_up_no_other_whose_lane_has_room_again(
    log: MemoryLog,
) -> None:
    idle = TopicPartition("events.domain.high", 0)
    await fill(log, LOW, 4 * LANE_RECORDS)
    seen = Seen()
    seen.is_open.clear()
    feed, lanes, _ = reading(seen, lambda: MemoryFetcher(log))
    feed.open({LOW: 0, idle: 0})
    await until(lambda: lanes.unfinished > LANE_RECORDS // 2)
    began = asyncio.get_running_loop().time()
    seen.is_open.set()
    await until(lambda: len(seen.offsets[LOW]) == 4 * LANE_RECORDS)
    assert asyncio.get_running_loop().time() - began < 1.0
    feed.close()
    await lanes.close()


async def test_nothing_is_taken_after_the_feed_was_closed(log: MemoryLog) -> None:
    seen = Seen()
    feed, lanes, _ = reading(seen, lambda: MemoryFetcher(log))
    feed.open({LOW: 0})
    await asyncio.sleep(0.01)
    feed.close()
    await fill(log, LOW, 10)
    await asyncio.sleep(0.01)
    assert not feed.is_open
    assert lanes.unfinished == 0
    assert seen.offsets[LOW] == []
    await lanes.close()


async def test_an_error_that_is_no_outage_is_reported(log: MemoryLog) -> None:
    class Defect(MemoryFetcher):
        async def start(self, starts: Mapping[TopicPartition, int]) -> None:
            raise RuntimeError("a defect")

    feed, _, failures = reading(Seen(), lambda: Defect(log))
    feed.open({LOW: 0})
    await until(lambda: bool(failures))
    assert isinstance(failures[0], RuntimeError)


class Deaf(MemoryFetcher):
    """Swallows the cancellation of whoever waits in it, as a library below may do."""

    def __init__(self, log: MemoryLog) -> None:
        super().__init__(log)
        self.waits = asyncio.Event()
        self.goes_on = asyncio.Event()

    async def fetch(
        self, sources: Collection[TopicPartition], max_records: int, timeout_s: float
    ) -> Mapping[TopicPartition, Sequence[RawRecord]]:
        self.waits.set()
        while not self.goes_on.is_set():
            try:
                await self.goes_on.wait()
            except asyncio.CancelledError:
                continue
        return await super().fetch(sources, max_records, timeout_s)


async def test_a_feed_whose_cancellation_was_swallowed_offers_nothing_all_the_same(
    log: MemoryLog,
) -> None:
    await fill(log, LOW, 50)
    seen = Seen()
    deaf = Deaf(log)
    fetchers: list[MemoryFetcher] = [deaf, MemoryFetcher(log)]
    feed, lanes, failures = reading(seen, lambda: fetchers.pop(0))
    feed.open({LOW: 20})
    await deaf.waits.wait()
    feed.close()
    await lanes.close()
    feed.open({LOW: 0})
    await asyncio.sleep(0)
    deaf.goes_on.set()
    await until(lambda: len(seen.offsets[LOW]) == 50)
    assert seen.offsets[LOW] == list(range(50))
    assert not failures
    feed.close()
    await lanes.close()


async def test_where_partitions_end_is_known_from_fetches_and_asked_only_of_their_fetcher(
    log: MemoryLog,
) -> None:
    asked: list[list[TopicPartition]] = []

    class Asked(MemoryFetcher):
        """Notes what it is asked for."""

        async def ends(self, sources: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
            asked.append(sorted(sources))
            return await super().ends(sources)

    await fill(log, LOW, 7)
    await fill(log, CRITICAL, 3)
    seen = Seen()
    feed, lanes, _ = reading(seen, lambda: Asked(log))
    assert (feed.positions(), feed.known_ends(), await feed.ends([LOW])) == ({}, {}, {})
    feed.open({LOW: 2, CRITICAL: 0})
    await until(lambda: len(seen.offsets[LOW]) == 5 and len(seen.offsets[CRITICAL]) == 3)
    assert feed.positions() == feed.known_ends() == {LOW: 7, CRITICAL: 3}
    assert asked == []
    assert await feed.ends([LOW, CRITICAL]) == {LOW: 7, CRITICAL: 3}
    assert sorted(asked) == [[LOW], [CRITICAL]]
    feed.close()
    await lanes.close()
    await until(lambda: not feed.known_ends())
