"""Who may change the tables of a partition."""

from __future__ import annotations

import asyncio

import pytest

from streams.records import TopicPartition
from streams.table_access import TableAccess

CRITICAL = TopicPartition("events.system.critical", 0)
HIGH = TopicPartition("events.domain.high", 0)
LOW = TopicPartition("events.domain.low", 0)


class Holders:
    """Notes who gets its turn; each lets go when told to."""

    def __init__(self) -> None:
        self.access = TableAccess()
        self.order: list[TopicPartition] = []
        self.tasks: list[asyncio.Task[None]] = []
        self._done: list[asyncio.Event] = []

    async def ask(self, *sources: TopicPartition) -> None:
        """Let these ask, one after the other."""
        for source in sources:
            done = asyncio.Event()
            self._done.append(done)
            self.tasks.append(asyncio.create_task(self._hold(source, done)))
            await settled()

    async def let_go(self, *numbers: int) -> None:
        """Those that asked first, second, ... let go as soon as it is their turn."""
        for number in numbers:
            self._done[number].set()
            await settled()

    async def _hold(self, source: TopicPartition, done: asyncio.Event) -> None:
        async with self.access.held(source):
            self.order.append(source)
            await done.wait()


async def settled() -> None:
    """Let everybody do what can be done."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_critical_batch_goes_before_all_that_wait() -> None:
    holders = Holders()
    await holders.ask(LOW, HIGH, LOW, CRITICAL)
    assert holders.order == [LOW]
    await holders.let_go(0)
    assert holders.order == [LOW, CRITICAL]
    await holders.let_go(3, 1, 2)
    assert holders.order == [LOW, CRITICAL, HIGH, LOW]
    await asyncio.gather(*holders.tasks)


async def test_who_holds_the_tables_is_told_that_somebody_more_urgent_waits() -> None:
    holders = Holders()
    await holders.ask(LOW, HIGH)
    assert not holders.access.is_wanted(LOW)
    await holders.ask(CRITICAL)
    assert holders.access.is_wanted(LOW)
    assert not holders.access.is_wanted(CRITICAL)
    assert not holders.access.is_wanted(TopicPartition(LOW.topic, 1))
    await holders.let_go(0, 2, 1)
    assert not holders.access.is_wanted(LOW)
    await asyncio.gather(*holders.tasks)


@pytest.mark.parametrize("number", [1, 2])
async def test_one_that_is_cancelled_while_it_waits_holds_up_nobody(number: int) -> None:
    holders = Holders()
    await holders.ask(LOW, CRITICAL, HIGH)
    holders.tasks[number].cancel()
    await settled()
    await holders.let_go(0, 1, 2)
    ended = await asyncio.gather(*holders.tasks, return_exceptions=True)
    assert [isinstance(it, asyncio.CancelledError) for it in ended].count(True) == 1
    assert len(holders.order) == 2
    assert not holders.access.is_wanted(LOW)


async def test_partitions_do_not_wait_for_each_other() -> None:
    holders = Holders()
    other = TopicPartition(LOW.topic, 1)
    await holders.ask(LOW, other)
    assert holders.order == [LOW, other]
    await holders.let_go(0, 1)
    await asyncio.gather(*holders.tasks)
