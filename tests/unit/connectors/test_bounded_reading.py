from contextlib import aclosing

import pytest

from connectors import bounded_reading
from connectors.bounded_reading import read_until
from streams.errors import BrokerUnavailable
from streams.memory.fetcher import MemoryFetcher
from streams.memory.log import MemoryLog
from streams.records import OutgoingRecord, TopicPartition

HERE, EMPTY = TopicPartition("t", 0), TopicPartition("t", 1)


def filled(records: int) -> MemoryLog:
    log = MemoryLog()
    for number in range(records):
        log.append(OutgoingRecord(topic="t", key=None, value=b"%d" % number, partition=0))
    return log


async def read(log: MemoryLog, starts: dict[TopicPartition, int], end: int) -> list[int]:
    fetcher = MemoryFetcher(log)
    await fetcher.start({HERE: 0, EMPTY: 0, **starts})
    offsets: list[int] = []
    async with aclosing(read_until(fetcher, starts, {HERE: end, EMPTY: 0}, at_once=3)) as batches:
        async for batch in batches:
            offsets += [record.offset for record in batch.get(HERE, ())]
    return offsets


async def test_a_log_that_grows_is_read_to_the_end_that_was_fixed() -> None:
    assert await read(filled(10), {}, end=7) == list(range(7))


async def test_what_was_read_before_is_not_read_again() -> None:
    assert await read(filled(10), {HERE: 4}, end=10) == list(range(4, 10))
    assert await read(filled(10), {HERE: 10}, end=10) == []


async def test_records_that_are_due_and_never_come_are_an_outage(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bounded_reading, "SILENT_READS", 2)
    monkeypatch.setattr(bounded_reading, "READ_TIMEOUT_S", 0.001)
    with pytest.raises(BrokerUnavailable, match="t/0"):
        await read(filled(3), {}, end=5)
