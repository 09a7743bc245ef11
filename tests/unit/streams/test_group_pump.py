"""The pump: commits, rebalances, and what it does when something breaks below it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from streams.attempts import Pause
from streams.errors import DeliveryFailed
from streams.group_pump import GroupPump
from streams.log import AssignmentListener, GroupReader
from streams.memory.group import MemoryGroupReader
from streams.memory.log import MemoryLog
from streams.records import OutgoingRecord, RawRecord, TopicPartition

TOPIC, GROUP = "events.domain.low", "team.main"
WAIT_S = 10.0


class Recorder:
    """A process that fails as often as it is told, then notes the offsets it is given."""

    def __init__(self, *errors: Exception) -> None:
        self.seen: list[tuple[int, int]] = []
        self.pause: Pause | None = None
        self.failed = asyncio.Event()
        self._errors = list(errors)
        self._progress = asyncio.Condition()

    async def process(self, source: TopicPartition, records: Sequence[RawRecord]) -> None:
        if self._errors:
            self.failed.set()
            raise self._errors.pop(0)
        async with self._progress:
            self.seen += [(record.partition, record.offset) for record in records]
            self._progress.notify_all()

    async def wait_for(self, number: int) -> None:
        async with asyncio.timeout(WAIT_S), self._progress:
            await self._progress.wait_for(lambda: len(set(self.seen)) >= number)


def filled_log(records: int) -> MemoryLog:
    log = MemoryLog(2)
    for number in range(records):
        log.append(OutgoingRecord(topic=TOPIC, key=None, value=str(number).encode()))
    return log


def pump(log: MemoryLog, recorder: Recorder) -> GroupPump:
    def open_reader(listener: AssignmentListener) -> GroupReader:
        return MemoryGroupReader(log, GROUP, [TOPIC], listener)

    return GroupPump(recorder, open_reader)


async def test_everything_is_delivered_and_committed_at_the_stop() -> None:
    log, recorder = filled_log(20), Recorder()
    pumping = pump(log, recorder)
    await pumping.start()
    await recorder.wait_for(20)
    await pumping.stop()
    assert sorted(recorder.seen) == [(p, offset) for p in range(2) for offset in range(10)]
    assert log.groups.committed(GROUP) == {TopicPartition(TOPIC, p): 10 for p in range(2)}


async def test_failing_infrastructure_makes_it_join_again_at_the_last_commit() -> None:
    log, recorder = filled_log(4), Recorder(DeliveryFailed("away"))
    pumping = pump(log, recorder)
    await pumping.start()
    await recorder.wait_for(4)
    await pumping.stop()
    assert log.groups.committed(GROUP) == {TopicPartition(TOPIC, p): 2 for p in range(2)}


async def test_any_other_error_ends_it_commits_nothing_and_is_raised_at_the_stop() -> None:
    log = filled_log(4)
    broken = Recorder(KeyError("a defect"), KeyError("a defect"))
    pumping = pump(log, broken)
    await pumping.start()
    await asyncio.wait_for(broken.failed.wait(), WAIT_S)
    with pytest.raises(KeyError, match="a defect"):
        await pumping.stop()
    assert broken.seen == []
    assert set(log.groups.committed(GROUP).values()) <= {0}


async def test_a_second_member_takes_over_without_a_gap() -> None:
    log, first, second = filled_log(10), Recorder(), Recorder()
    one, two = pump(log, first), pump(log, second)
    await one.start()
    await first.wait_for(10)
    await two.start()
    for number in range(10):
        log.append(OutgoingRecord(topic=TOPIC, key=None, value=str(number).encode()))
    await first.wait_for(15)
    await second.wait_for(5)
    await one.stop()
    await two.stop()
    assert sorted({*first.seen, *second.seen}) == [(p, o) for p in range(2) for o in range(10)]
    assert not set(first.seen) & set(second.seen)
