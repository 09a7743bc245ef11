"""Lanes of both kinds: order, back-pressure, watermark, failure, what a drain leaves behind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

import pytest

from streams.attempts import Pause
from streams.backlog import Backlog
from streams.errors import LaneStopped
from streams.keyed_lane import BEGUN_RECORDS, KeyedLane
from streams.lane import LANE_RECORDS, Lanes, OpenLane
from streams.processor import More, Process, no_more
from streams.records import RawRecord, TopicPartition
from streams.serial_lane import LARGEST_BATCH, SerialLane
from streams.turns import AtOnce, Turns

SOURCE = TopicPartition("events.domain.low", 0)
OTHER = TopicPartition("events.domain.low", 1)


class Gate:
    """A process that works only while it is open, and fails at one offset if told so."""

    def __init__(self, fails_at: int | None = None) -> None:
        self.seen: list[tuple[int, int]] = []
        self.calls: list[int] = []
        self.open = asyncio.Event()
        self.open.set()
        self.pause: Pause | None = None
        self._fails_at = fails_at

    async def process(
        self, source: TopicPartition, records: Sequence[RawRecord], more: More = no_more
    ) -> None:
        self.calls.append(len(records))
        await self.open.wait()
        for record in records:
            if record.offset == self._fails_at:
                raise RuntimeError("broken")
            self.seen.append((record.partition, record.offset))


def serial(process: Process) -> OpenLane:
    return partial(SerialLane, process, AtOnce())


def keyed(process: Process) -> OpenLane:
    return partial(KeyedLane, process, Turns(), 4)


def record(offset: int, source: TopicPartition = SOURCE, key: bytes | None = None) -> RawRecord:
    return RawRecord(
        topic=source.topic,
        partition=source.partition,
        offset=offset,
        timestamp_ms=0,
        key=key,
        value=b"",
    )


def records(*offsets: int, source: TopicPartition = SOURCE) -> list[RawRecord]:
    return [record(offset, source) for offset in offsets]


async def until(condition: Callable[[], bool]) -> None:
    """Let others work until the condition holds."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110  # any of many things may make it true
            await asyncio.sleep(0)


@pytest.fixture(params=[serial, keyed])
def open_lane(request: pytest.FixtureRequest) -> Callable[[Process], OpenLane]:
    kind: Callable[[Process], OpenLane] = request.param
    return kind


OfKind = Callable[[Process], OpenLane]


async def test_what_is_finished_is_committable(open_lane: OfKind) -> None:
    gate = Gate()
    lanes = Lanes(open_lane(gate))
    lanes.offer(SOURCE, records(*range(300)))
    lanes.offer(OTHER, records(*range(300), source=OTHER))
    await until(lambda: lanes.unfinished == 0)
    assert len(set(gate.seen)) == 600
    assert lanes.committable() == {SOURCE: 300, OTHER: 300}
    await lanes.close()


async def test_nothing_is_committable_while_work_is_unfinished(open_lane: OfKind) -> None:
    gate = Gate()
    gate.open.clear()
    lanes = Lanes(open_lane(gate))
    lanes.offer(SOURCE, records(5, 6))
    await until(lambda: bool(gate.calls))
    assert lanes.committable() == {SOURCE: 5}
    assert lanes.unfinished == 2
    gate.open.set()
    await until(lambda: lanes.unfinished == 0)
    assert lanes.committable() == {SOURCE: 7}
    await lanes.close()


async def test_a_repeat_is_left_out(open_lane: OfKind) -> None:
    gate = Gate()
    lanes = Lanes(open_lane(gate))
    for offsets in ((0, 1), (0, 1), (1, 2)):
        lanes.offer(SOURCE, records(*offsets))
    await until(lambda: lanes.unfinished == 0)
    assert sorted(gate.seen) == [(0, 0), (0, 1), (0, 2)]
    await lanes.close()


async def test_a_full_lane_makes_its_reader_wait_and_no_other(open_lane: OfKind) -> None:
    gate = Gate()
    gate.open.clear()
    lanes = Lanes(open_lane(gate))
    lanes.offer(SOURCE, records(*range(2 * LANE_RECORDS)))
    assert await lanes.with_room([SOURCE, OTHER]) == [OTHER]
    waiting = asyncio.create_task(lanes.with_room([SOURCE]))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    gate.open.set()
    assert await asyncio.wait_for(waiting, 5) == [SOURCE]
    await lanes.close()


async def test_a_failure_is_raised_to_whoever_feeds_and_nothing_is_finished(
    open_lane: OfKind,
) -> None:
    lanes = Lanes(open_lane(Gate(fails_at=3)))
    lanes.offer(SOURCE, records(3))
    with pytest.raises(RuntimeError, match="broken"):
        await until(lambda: bool(lanes.raise_failure()))  # type: ignore[func-returns-value]  # raises
    with pytest.raises(RuntimeError, match="broken"):
        lanes.offer(SOURCE, records(4))
    assert lanes.committable() == {SOURCE: 3}
    await lanes.close()


async def test_who_waits_for_room_in_a_lane_that_fails_is_told(open_lane: OfKind) -> None:
    gate = Gate(fails_at=0)
    gate.open.clear()
    lanes = Lanes(open_lane(gate))
    lanes.offer(SOURCE, records(*range(2 * LANE_RECORDS)))
    waiting = asyncio.create_task(lanes.with_room([SOURCE]))
    await until(lambda: bool(gate.calls))
    gate.open.set()
    with pytest.raises(RuntimeError, match="broken"):
        await asyncio.wait_for(waiting, 5)
    await lanes.close()


async def test_a_drain_finishes_what_is_in_work_and_lets_go_of_the_rest(
    open_lane: OfKind,
) -> None:
    gate = Gate()
    gate.open.clear()
    lanes = Lanes(open_lane(gate))
    lanes.offer(SOURCE, records(*range(1_000)))
    await until(lambda: bool(gate.calls))
    draining = asyncio.create_task(lanes.drain(5))
    await asyncio.sleep(0.01)
    gate.open.set()
    await draining
    taken = len(gate.seen)
    assert 0 < taken < 1_000
    lanes.offer(SOURCE, records(1_000))
    await asyncio.sleep(0.01)
    assert lanes.committable() == {SOURCE: taken}
    assert len(gate.seen) == taken
    await lanes.close()


async def test_draining_is_bounded_and_unfinished_work_stays_uncommitted(
    open_lane: OfKind,
) -> None:
    gate = Gate()
    gate.open.clear()
    lanes = Lanes(open_lane(gate))
    lanes.offer(SOURCE, records(0))
    await until(lambda: bool(gate.calls))
    await lanes.drain(0.01)
    assert lanes.committable() == {SOURCE: 0}
    await lanes.close()
    assert lanes.committable() == {}


async def test_a_closed_lane_is_forgotten_and_begins_anew(open_lane: OfKind) -> None:
    gate = Gate()
    lanes = Lanes(open_lane(gate))
    lanes.offer(SOURCE, records(7))
    await until(lambda: lanes.unfinished == 0)
    await lanes.close([SOURCE])
    lanes.offer(SOURCE, records(2))
    await until(lambda: lanes.unfinished == 0)
    assert gate.seen == [(0, 7), (0, 2)]
    assert lanes.committable() == {SOURCE: 3}
    await lanes.close()


async def test_a_lane_that_was_cancelled_from_within_is_a_failure(open_lane: OfKind) -> None:
    class Cancelled(Gate):
        async def process(
            self, source: TopicPartition, records: Sequence[RawRecord], more: More = no_more
        ) -> None:
            raise asyncio.CancelledError

    lanes = Lanes(open_lane(Cancelled()))
    lanes.offer(SOURCE, records(0))
    with pytest.raises(LaneStopped, match="from within"):
        await until(lambda: bool(lanes.raise_failure()))  # type: ignore[func-returns-value]  # raises
    await lanes.close()


async def test_batches_grow_while_they_are_quick_and_stay_in_order() -> None:
    gate = Gate()
    lanes = Lanes(serial(gate))
    lanes.offer(SOURCE, records(*range(LANE_RECORDS)))
    await until(lambda: lanes.unfinished == 0)
    assert [offset for _, offset in gate.seen] == list(range(LANE_RECORDS))
    assert max(gate.calls) > 64
    assert max(gate.calls) <= LARGEST_BATCH
    await lanes.close()


async def test_a_slow_key_holds_up_no_other_and_no_commit_passes_it() -> None:
    class SlowKey(Gate):
        async def process(
            self, source: TopicPartition, records: Sequence[RawRecord], more: More = no_more
        ) -> None:
            if records[0].key == b"slow":
                await self.open.wait()
            self.seen += [(record.partition, record.offset) for record in records]

    gate = SlowKey()
    gate.open.clear()
    lanes = Lanes(keyed(gate))
    keys = [b"a", b"slow", b"b", b"slow", b"a", b"b"]
    lanes.offer(SOURCE, [record(offset, key=key) for offset, key in enumerate(keys)])
    await until(lambda: len(gate.seen) == 4)
    assert {offset for _, offset in gate.seen} == {0, 2, 4, 5}
    assert lanes.committable() == {SOURCE: 1}
    gate.open.set()
    await until(lambda: lanes.unfinished == 0)
    assert [offset for _, offset in gate.seen[-2:]] == [1, 3]
    assert lanes.committable() == {SOURCE: 6}
    await lanes.close()


async def test_no_more_keys_are_in_work_than_asked_for() -> None:
    gate = Gate()
    gate.open.clear()
    lanes = Lanes(keyed(gate))
    lanes.offer(SOURCE, [record(offset, key=str(offset).encode()) for offset in range(9)])
    await until(lambda: len(gate.calls) == 4)
    await asyncio.sleep(0.01)
    assert len(gate.calls) == 4
    gate.open.set()
    await until(lambda: lanes.unfinished == 0)
    assert len(gate.seen) == 9
    await lanes.close()


async def test_work_that_does_not_end_when_it_is_stopped_is_a_failure_and_holds_up_nobody(
    open_lane: OfKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("serial_lane", "keyed_lane"):
        monkeypatch.setattr(f"streams.{module}.STOP_S", 0.01)
    enough = asyncio.Event()

    class Deaf(Gate):
        async def process(
            self, source: TopicPartition, records: Sequence[RawRecord], more: More = no_more
        ) -> None:
            self.calls.append(len(records))
            while not enough.is_set():
                try:
                    await enough.wait()
                except asyncio.CancelledError:
                    continue

    gate = Deaf()
    lanes = Lanes(open_lane(gate))
    lanes.offer(SOURCE, records(0, 1, 2))
    await until(lambda: bool(gate.calls))
    await asyncio.wait_for(lanes.close(), 5)
    with pytest.raises(LaneStopped, match="does not end"):
        lanes.raise_failure()
    calls = len(gate.calls)
    enough.set()
    await asyncio.sleep(0.01)
    assert len(gate.calls) == calls, "it takes no further record"


async def test_a_drain_ends_each_key_with_the_record_in_work() -> None:
    gate = Gate()
    gate.open.clear()
    lanes = Lanes(keyed(gate))
    lanes.offer(SOURCE, [record(offset, key=b"k") for offset in range(100)])
    await until(lambda: bool(gate.calls))
    draining = asyncio.create_task(lanes.drain(5))
    await asyncio.sleep(0)
    gate.open.set()
    await asyncio.wait_for(draining, 5)
    assert gate.seen == [(0, 0)]
    assert lanes.committable() == {SOURCE: 1}
    await lanes.close()


async def test_a_hot_key_that_fills_the_lane_lets_others_begin() -> None:
    class OneByOne(Gate):
        async def process(
            self, source: TopicPartition, records: Sequence[RawRecord], more: More = no_more
        ) -> None:
            for _ in range(10):
                await asyncio.sleep(0)
            self.calls.append(records[0].offset)

    gate = OneByOne()
    lanes = Lanes(keyed(gate))
    hot = [record(offset, key=b"hot") for offset in range(2 * BEGUN_RECORDS)]
    lanes.offer(SOURCE, [*hot, record(2 * BEGUN_RECORDS, key=b"cold")])
    await until(lambda: 2 * BEGUN_RECORDS in gate.calls)
    assert len(gate.calls) < 1.5 * BEGUN_RECORDS
    await lanes.close()


async def test_a_critical_backlog_lets_the_event_loop_go() -> None:
    critical = TopicPartition("events.system.critical", 0)
    turns = Turns()
    others = 0

    class Paced(Gate):
        async def process(
            self, source: TopicPartition, records: Sequence[RawRecord], more: More = no_more
        ) -> None:
            for given in records:
                await turns.turn(source.topic, given.timestamp_ms)

    lanes = Lanes(partial(SerialLane, Paced(), turns))
    lanes.offer(critical, records(*range(500), source=critical))
    while lanes.unfinished:
        await asyncio.sleep(0)
        others += 1
    assert others > 400
    await lanes.close()


async def test_the_oldest_record_that_is_not_done_is_known(open_lane: OfKind) -> None:
    gate = Gate()
    gate.open.clear()
    lanes = Lanes(open_lane(gate))
    for offset, timestamp_ms in ((0, 500), (1, 600)):
        old = record(offset, key=b"k")._replace(timestamp_ms=timestamp_ms)
        lanes.offer(SOURCE, [old])
    assert lanes.backlogs()[SOURCE] == Backlog(2, 500)
    await until(lambda: len(gate.calls) > 0)
    assert lanes.backlogs()[SOURCE] == Backlog(2, 500), "it is in work now, and not done"
    gate.open.set()
    await until(lambda: lanes.unfinished == 0)
    assert lanes.backlogs()[SOURCE] == Backlog(0, None)
    await lanes.close()
