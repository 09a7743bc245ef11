"""Orders of `wundr.control`: the last one of a key holds, for those who come later, too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence

import pytest

from schemas.topics import CONTROL_TOPIC
from streams.control import CONTROL_SOURCE, Control, Order, give_order, order_record
from streams.errors import BrokerUnavailable
from streams.memory.fetcher import MemoryFetcher
from streams.memory.log import MemoryLog, MemorySender
from streams.records import OutgoingRecord, RawRecord, TopicPartition


class Heard:
    """A listener that notes what it was told."""

    def __init__(self) -> None:
        self.orders: list[tuple[str, Order | None]] = []
        self._news = asyncio.Event()

    def __call__(self, key: str, order: Order | None) -> None:
        self.orders.append((key, order))
        self._news.set()

    async def until(self, count: int) -> list[tuple[str, Order | None]]:
        """What was heard, once it is so much."""
        async with asyncio.timeout(5):
            while len(self.orders) < count:
                self._news.clear()
                await self._news.wait()
        return self.orders


class FailingFetcher(MemoryFetcher):
    """Loses its broker on the first fetch after the start."""

    failures = 1

    async def fetch(
        self, sources: Collection[TopicPartition], max_records: int, timeout_s: float
    ) -> Mapping[TopicPartition, Sequence[RawRecord]]:
        """See PartitionFetcher."""
        if FailingFetcher.failures:
            FailingFetcher.failures -= 1
            raise BrokerUnavailable("gone")
        return await super().fetch(sources, max_records, timeout_s)


@pytest.fixture
def log() -> MemoryLog:
    """A control topic of one partition."""
    return MemoryLog(partitions=1)


@pytest.fixture
async def control(log: MemoryLog) -> AsyncIterator[Control]:
    """Not started yet."""
    control = Control(lambda: MemoryFetcher(log))
    yield control
    await control.close()


async def test_what_was_ordered_before_the_start_is_known_when_it_returns(
    log: MemoryLog, control: Control
) -> None:
    log.append(order_record("breaker/shop/mailer", {"state": "open"}))
    log.append(order_record("breaker/shop/mailer", {"state": "closed"}))
    log.append(order_record("breaker/shop/bank", {"state": "open"}))
    log.append(order_record("breaker/shop/bank", None))
    await control.start()
    assert control.orders.standing() == {"breaker/shop/mailer": {"state": "closed"}}


async def test_a_listener_hears_of_what_stands_and_then_of_each_change_of_its_keys(
    log: MemoryLog, control: Control
) -> None:
    log.append(order_record("breaker/shop/mailer", {"state": "open"}))
    await control.start()
    heard = Heard()
    control.orders.listen("breaker/shop/", heard)
    sender = MemorySender(log)
    await give_order(sender, "parking/shop/main", {"redrive": "all"})
    await give_order(sender, "breaker/other/mailer", {"state": "open"})
    await give_order(sender, "breaker/shop/mailer", None)
    assert await heard.until(2) == [
        ("breaker/shop/mailer", {"state": "open"}),
        ("breaker/shop/mailer", None),
    ]


@pytest.mark.parametrize("value", [b"", b"{", b"[1]", b"\xff\xfe"])
async def test_a_record_that_is_no_order_is_left_out(
    log: MemoryLog, control: Control, value: bytes
) -> None:
    log.append(OutgoingRecord(CONTROL_TOPIC, b"breaker/shop/mailer", value))
    log.append(OutgoingRecord(CONTROL_TOPIC, b"\xff", b"{}"))
    log.append(order_record("breaker/shop/bank", {"state": "open"}))
    await control.start()
    assert list(control.orders.standing()) == ["breaker/shop/bank"]


async def test_a_lost_broker_is_looked_for_again_and_no_order_is_heard_twice(
    log: MemoryLog,
) -> None:
    log.append(order_record("a/1", {"n": 1}))
    heard = Heard()
    control = Control(lambda: MemoryFetcher(log))
    control.orders.listen("a/", heard)
    await control.start()
    await control.close()
    control._open_fetcher = lambda: FailingFetcher(log)
    control._task = asyncio.create_task(control._follow())
    log.append(order_record("a/2", {"n": 2}))
    assert await heard.until(2) == [("a/1", {"n": 1}), ("a/2", {"n": 2})]
    assert FailingFetcher.failures == 0
    await control.close()


class CountedFetcher(MemoryFetcher):
    """Knows how many are open."""

    open = 0

    async def start(self, starts: Mapping[TopicPartition, int]) -> None:
        """See PartitionFetcher."""
        CountedFetcher.open += 1
        await super().start(starts)

    async def close(self) -> None:
        """See PartitionFetcher."""
        CountedFetcher.open -= 1
        await super().close()


async def test_what_is_closed_at_once_leaves_no_connection_behind(log: MemoryLog) -> None:
    control = Control(lambda: CountedFetcher(log))
    await control.start()
    assert CountedFetcher.open == 1
    await control.close()
    assert CountedFetcher.open == 0


async def test_a_listener_that_fails_is_not_kept_quiet(log: MemoryLog, control: Control) -> None:
    def refuse(key: str, order: Order | None) -> None:
        raise RuntimeError(key)

    await control.start()
    control.orders.listen("a/", refuse)
    log.append(order_record("a/1", {}))
    assert control._task is not None
    await asyncio.wait({control._task}, timeout=5)
    with pytest.raises(RuntimeError, match="a/1"):
        control.raise_failure()


class HolesFetcher(MemoryFetcher):
    """A topic whose last records compaction has removed."""

    async def ends(self, sources: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        """See PartitionFetcher."""
        return dict.fromkeys(sources, 9)

    async def position(self, source: TopicPartition) -> int:
        """See PartitionFetcher."""
        return 9 if await super().position(source) else 0


async def test_holes_at_the_end_of_the_topic_do_not_hold_up_the_start(log: MemoryLog) -> None:
    log.append(order_record("a/1", {}))
    control = Control(lambda: HolesFetcher(log))
    await asyncio.wait_for(control.start(), 5)
    assert list(control.orders.standing()) == ["a/1"]
    await control.close()


def test_the_topic_has_the_one_partition_that_is_read() -> None:
    assert CONTROL_SOURCE == (CONTROL_TOPIC, 0)
