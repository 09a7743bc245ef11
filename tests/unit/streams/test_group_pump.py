"""The pump: commits, rebalances, and what it does when something breaks below it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any

import pytest

from streams.attempts import Pause
from streams.errors import DeliveryFailed
from streams.group_pump import GroupPump
from streams.log import AssignmentListener, GroupReader
from streams.memory.group import MemoryGroupReader
from streams.memory.log import MemoryLog
from streams.processor import More, no_more
from streams.records import OutgoingRecord, RawRecord, TopicPartition
from tests.unit.streams.idle import idle_redoing

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

    async def process(
        self, source: TopicPartition, records: Sequence[RawRecord], more: More = no_more
    ) -> None:
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

    return GroupPump(recorder, open_reader, partial(idle_redoing, MemoryLog(2)))


async def test_everything_is_delivered_and_committed_at_the_stop() -> None:
    log, recorder = filled_log(20), Recorder()
    pumping = pump(log, recorder)
    await pumping.start()
    await recorder.wait_for(20)
    watching = asyncio.create_task(pumping.watch())
    await asyncio.sleep(0)
    assert not watching.done()
    await pumping.stop()
    await asyncio.wait_for(watching, WAIT_S)
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
    with pytest.raises(KeyError, match="a defect"):
        await asyncio.wait_for(pumping.watch(), WAIT_S)
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


Batch = Mapping[TopicPartition, list[RawRecord]]
A, B = TopicPartition(TOPIC, 0), TopicPartition(TOPIC, 1)


def batch(**offsets: range) -> Batch:
    """Records of partition A and B at these offsets."""
    return {
        source: [
            RawRecord(
                topic=TOPIC,
                partition=source.partition,
                offset=offset,
                timestamp_ms=0,
                key=None,
                value=b"v",
                headers=(),
            )
            for offset in offsets[name]
        ]
        for name, source in (("a", A), ("b", B))
        if name in offsets
    }


class ScriptedReader:
    """A member that is given A and B, and whose reads a test writes down."""

    def __init__(
        self, listener: AssignmentListener, script: Callable[[ScriptedReader, int], Any]
    ) -> None:
        self.listener = listener
        self.commits: dict[TopicPartition, int] = {}
        self._script = script
        self._reads = 0

    async def start(self) -> None:
        await self.listener.revoked([])
        await self.listener.assigned([A, B])

    async def rebalance(self) -> None:
        await self.listener.revoked([B, A])
        await self.listener.assigned([A, B])

    async def read(
        self, max_records: int = 500, timeout_s: float = 1.0, *, shares: int = 1
    ) -> Batch:
        self._reads += 1
        found: Batch = await self._script(self, self._reads)
        return found

    async def positions(self) -> Mapping[TopicPartition, int]:
        """See GroupReader."""
        return {}

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        self.commits.update(offsets)

    def known_ends(self) -> Mapping[TopicPartition, int]:
        """See GroupReader."""
        return {}

    async def close(self) -> None:
        """Nothing is open."""


class Hanging(Recorder):
    """Works on nothing until it is released; says when A's lane begins."""

    def __init__(self) -> None:
        super().__init__()
        self.released = asyncio.Event()
        self.a_begins = asyncio.Event()

    async def process(
        self, source: TopicPartition, records: Sequence[RawRecord], more: More = no_more
    ) -> None:
        if source == A:
            self.a_begins.set()
        await self.released.wait()
        await super().process(source, records, more)


async def run_scripted(
    recorder: Recorder, script: Callable[[ScriptedReader, int], Coroutine[Any, Any, Batch]]
) -> tuple[GroupPump, ScriptedReader]:
    readers: list[ScriptedReader] = []

    def open_reader(listener: AssignmentListener) -> GroupReader:
        readers.append(ScriptedReader(listener, script))
        return readers[-1]

    pumping = GroupPump(recorder, open_reader, partial(idle_redoing, MemoryLog(2)))
    await pumping.start()
    return pumping, readers[0]


async def test_a_rebalance_inside_a_batch_skips_nothing_of_any_partition(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("streams.group_pump.DRAIN_S", 0.0)
    monkeypatch.setattr("streams.lane.LANE_RECORDS", 5)
    recorder, rebalanced = Hanging(), asyncio.Event()

    async def rebalance(reader: ScriptedReader) -> None:
        # A's lane is at work, so the pump waits for room in it, in the middle of the second batch.
        await recorder.a_begins.wait()
        await reader.rebalance()
        rebalanced.set()

    async def script(reader: ScriptedReader, number: int) -> Batch:
        if number == 1:
            return batch(b=range(3))
        if number == 2:
            rebalancing.append(asyncio.create_task(rebalance(reader)))
            return batch(a=range(20), b=range(3, 6))
        await rebalanced.wait()
        recorder.released.set()
        return batch(a=range(20), b=range(6)) if number == 3 else await nothing()

    rebalancing: list[asyncio.Task[None]] = []
    pumping, reader = await run_scripted(recorder, script)
    await recorder.wait_for(26)
    monkeypatch.setattr("streams.group_pump.DRAIN_S", WAIT_S)
    await pumping.stop()
    assert sorted(recorder.seen) == [*((0, n) for n in range(20)), *((1, n) for n in range(6))]
    assert reader.commits == {A: 20, B: 6}


async def test_nothing_is_begun_while_partitions_are_being_given_up() -> None:
    recorder, giving_up, given_up = Hanging(), asyncio.Event(), asyncio.Event()
    begun_meanwhile: list[str] = []

    async def rebalance(reader: ScriptedReader) -> None:
        revoking = asyncio.create_task(reader.listener.revoked([A, B]))
        await asyncio.sleep(0)
        giving_up.set()
        await revoking
        begun_meanwhile.extend(
            task.get_name() for task in asyncio.all_tasks() if "lane" in task.get_name()
        )
        await reader.listener.assigned([A, B])
        given_up.set()

    async def script(reader: ScriptedReader, number: int) -> Batch:
        if number == 1:
            return batch(a=range(1))
        if number == 2:
            await recorder.a_begins.wait()
            rebalancing.append(asyncio.create_task(rebalance(reader)))
            await giving_up.wait()
            return batch(b=range(3, 6))
        recorder.released.set()
        await given_up.wait()
        return batch(b=range(6)) if number == 3 else await nothing()

    rebalancing: list[asyncio.Task[None]] = []
    pumping, reader = await run_scripted(recorder, script)
    await recorder.wait_for(7)
    await pumping.stop()
    assert begun_meanwhile == []
    assert sorted(recorder.seen) == [(0, 0), *((1, offset) for offset in range(6))]
    assert reader.commits == {A: 1, B: 6}


async def nothing() -> Batch:
    await asyncio.sleep(0)
    return {}
