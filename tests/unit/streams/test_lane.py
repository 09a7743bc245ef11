"""Lanes: order, back-pressure, watermark, failure."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from streams.attempts import Pause
from streams.lane import LANE_RECORDS, Lane, Lanes
from streams.records import RawRecord, TopicPartition

SOURCE = TopicPartition("events.domain.low", 0)
OTHER = TopicPartition("events.domain.low", 1)


class Gate:
    """A process that works only while it is open, and fails at one offset if told so."""

    def __init__(self, fails_at: int | None = None) -> None:
        self.seen: list[tuple[int, int]] = []
        self.open = asyncio.Event()
        self.open.set()
        self.pause: Pause | None = None
        self._fails_at = fails_at

    async def process(self, source: TopicPartition, records: Sequence[RawRecord]) -> None:
        await self.open.wait()
        for record in records:
            if record.offset == self._fails_at:
                raise RuntimeError("broken")
            self.seen.append((record.partition, record.offset))


def record(offset: int, source: TopicPartition = SOURCE) -> RawRecord:
    return RawRecord(
        topic=source.topic,
        partition=source.partition,
        offset=offset,
        timestamp_ms=0,
        key=None,
        value=b"",
    )


async def test_records_are_processed_in_order_and_then_committable() -> None:
    gate = Gate()
    lanes = Lanes(gate)
    for offset in range(1_200):
        await lanes.offer(record(offset))
        await lanes.offer(record(offset, OTHER))
    await lanes.drain(5)
    assert [offset for partition, offset in gate.seen if partition == 0] == list(range(1_200))
    assert lanes.committable() == {SOURCE: 1_200, OTHER: 1_200}
    await lanes.close()


async def test_nothing_is_committable_while_work_is_unfinished() -> None:
    gate = Gate()
    gate.open.clear()
    lanes = Lanes(gate)
    for offset in (5, 6):
        await lanes.offer(record(offset))
    await asyncio.sleep(0)
    assert lanes.committable() == {SOURCE: 5}
    assert lanes.unfinished == 2
    gate.open.set()
    await lanes.drain(5)
    assert lanes.committable() == {SOURCE: 7}
    await lanes.close()


async def test_a_repeat_is_left_out() -> None:
    gate = Gate()
    lanes = Lanes(gate)
    for offset in (0, 1, 0, 1, 2):
        await lanes.offer(record(offset))
    await lanes.drain(5)
    assert gate.seen == [(0, 0), (0, 1), (0, 2)]
    await lanes.close()


async def test_a_full_lane_makes_the_reader_wait() -> None:
    gate = Gate()
    gate.open.clear()
    lane = Lane(SOURCE, gate)
    await lane.offer(record(0))
    await asyncio.sleep(0)  # the lane takes the first record into work
    for offset in range(1, LANE_RECORDS + 1):
        await lane.offer(record(offset))
    waiting = asyncio.create_task(lane.offer(record(LANE_RECORDS + 1)))
    await asyncio.sleep(0)
    assert not waiting.done()
    gate.open.set()
    await asyncio.wait_for(waiting, 5)
    await lane.drain(5)
    assert lane.committable == LANE_RECORDS + 2
    await lane.stop()


async def test_a_failed_process_is_raised_to_whoever_feeds_and_nothing_is_finished() -> None:
    lanes = Lanes(Gate(fails_at=3))
    await lanes.offer(record(3))
    await lanes.drain(5)
    with pytest.raises(RuntimeError, match="broken"):
        await lanes.offer(record(4))
    with pytest.raises(RuntimeError, match="broken"):
        lanes.raise_failure()
    assert lanes.committable() == {SOURCE: 3}
    await lanes.close()


async def test_a_full_lane_that_is_stopped_lets_go_of_who_waits_for_room() -> None:
    gate = Gate()
    gate.open.clear()
    lane = Lane(SOURCE, gate)
    for offset in range(LANE_RECORDS):
        await lane.offer(record(offset))
    waiting = asyncio.create_task(lane.offer(record(LANE_RECORDS)))
    await asyncio.sleep(0)
    await lane.stop()
    await asyncio.wait_for(waiting, 5)
    assert lane.committable == 0


async def test_draining_is_bounded_and_unfinished_work_stays_uncommitted() -> None:
    gate = Gate()
    gate.open.clear()
    lanes = Lanes(gate)
    await lanes.offer(record(0))
    await lanes.drain(0.01)
    assert lanes.committable() == {SOURCE: 0}
    await lanes.close()
    assert lanes.committable() == {}


async def test_a_closed_lane_is_forgotten_and_begins_anew() -> None:
    gate = Gate()
    lanes = Lanes(gate)
    await lanes.offer(record(7))
    await lanes.drain(5)
    await lanes.close([SOURCE])
    await lanes.offer(record(2))
    await lanes.drain(5)
    assert gate.seen == [(0, 7), (0, 2)]
    assert lanes.committable() == {SOURCE: 3}
    await lanes.close()


async def test_a_lane_that_was_cancelled_from_within_is_a_failure() -> None:
    class Cancelled(Gate):
        async def process(self, source: TopicPartition, records: Sequence[RawRecord]) -> None:
            raise asyncio.CancelledError

    lanes = Lanes(Cancelled())
    await lanes.offer(record(0))
    await lanes.drain(5)
    with pytest.raises(asyncio.CancelledError, match="from within"):
        lanes.raise_failure()
    await lanes.close()
