"""Work that takes in what comes meanwhile: one batch of a lane, and its offsets."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest

from streams.lane import RECORD_BYTES, Lanes, OpenLane, bytes_of
from streams.processor import More, Process, no_more
from streams.records import RawRecord, TopicPartition
from streams.serial_lane import LARGEST_BATCH
from tests.unit.streams.test_lane import SOURCE, Gate, keyed, record, records, serial, until


class Asking(Gate):
    """Asks for more until there is none, and ends only when it is open."""

    async def process(
        self, source: TopicPartition, records: Sequence[RawRecord], more: More = no_more
    ) -> None:
        self.calls.append(0)
        while records:
            self.calls[-1] += len(records)
            self.seen += [(record.partition, record.offset) for record in records]
            records = more()
        await self.open.wait()


async def test_what_has_come_meanwhile_is_part_of_the_same_work() -> None:
    asking = Asking()
    asking.open.clear()
    lanes = Lanes(serial(asking))
    lanes.offer(SOURCE, records(0, 1))
    lanes.offer(SOURCE, records(4, 5))
    await until(lambda: len(asking.seen) == 4)
    assert lanes.unfinished == 4
    assert lanes.committable() == {SOURCE: 0}
    asking.open.set()
    await until(lambda: lanes.unfinished == 0)
    assert asking.calls == [4]
    assert lanes.committable() == {SOURCE: 6}
    await lanes.close()


async def test_nothing_more_comes_to_work_that_is_large_enough() -> None:
    asking = Asking()
    lanes = Lanes(serial(asking))
    for begin in range(0, 1_000, 50):
        lanes.offer(SOURCE, records(*range(begin, begin + 50)))
    await until(lambda: lanes.unfinished == 0)
    assert [offset for _, offset in asking.seen] == list(range(1_000))
    assert asking.calls[0] == 64
    assert max(asking.calls) <= LARGEST_BATCH
    await lanes.close()


async def test_nothing_more_comes_to_work_that_is_old(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("streams.serial_lane.BATCH_S", -1.0)
    asking = Asking()
    lanes = Lanes(serial(asking))
    lanes.offer(SOURCE, records(0, 1))
    lanes.offer(SOURCE, records(2, 3))
    await until(lambda: lanes.unfinished == 0)
    assert asking.calls == [2, 1, 1]
    await lanes.close()


async def test_a_lane_that_fails_leaves_all_of_its_work_unfinished() -> None:
    class Failing(Asking):
        async def process(
            self, source: TopicPartition, records: Sequence[RawRecord], more: More = no_more
        ) -> None:
            await super().process(source, records, more)
            raise RuntimeError("broken")

    lanes = Lanes(serial(Failing()))
    lanes.offer(SOURCE, records(0, 1))
    lanes.offer(SOURCE, records(2, 3))
    with pytest.raises(RuntimeError):
        await until(lambda: bool(lanes.raise_failure()))  # type: ignore[func-returns-value]  # raises
    assert lanes.committable() == {SOURCE: 0}
    await lanes.close()


@pytest.mark.parametrize("open_lane", [serial, keyed])
async def test_large_records_fill_a_lane_sooner_and_leave_it_empty(
    open_lane: Callable[[Process], OpenLane],
) -> None:
    gate = Gate()
    gate.open.clear()
    lanes = Lanes(open_lane(gate))
    large = bytes(100 * RECORD_BYTES)
    for first in (0, 20):
        piece = [record(offset)._replace(value=large) for offset in range(first, first + 20)]
        lanes.offer(SOURCE, piece)
    await until(lambda: bool(gate.calls))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(lanes.with_room([SOURCE]), 0.01)
    gate.open.set()
    await until(lambda: lanes.unfinished == 0)
    assert await lanes.with_room([SOURCE]) == [SOURCE]
    lane = lanes._lanes[SOURCE]
    assert lane.waiting == 0
    await lanes.close()


async def test_nothing_more_comes_to_work_that_holds_enough_bytes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("streams.serial_lane.LARGEST_BATCH_BYTES", 1_000)
    asking = Asking()
    lanes = Lanes(serial(asking))
    for first in range(0, 12, 2):
        lanes.offer(
            SOURCE,
            [record(offset)._replace(value=bytes(300)) for offset in (first, first + 1)],
        )
    await until(lambda: lanes.unfinished == 0)
    assert asking.calls == [4, 4, 4]
    await lanes.close()


async def test_a_run_that_is_cut_has_its_bytes_where_its_records_are() -> None:
    gate = Gate()
    gate.open.clear()
    lanes = Lanes(serial(gate))
    for offsets in (range(100), range(100, 1_000)):
        at_work = len(gate.calls)
        large = bytes(10 * RECORD_BYTES)
        lanes.offer(SOURCE, [record(offset)._replace(value=large) for offset in offsets])
        await until(lambda at_work=at_work: len(gate.calls) > at_work)  # type: ignore[misc]
        assert gate.calls[-1] < len(offsets), "nothing was cut"
        assert lanes._lanes[SOURCE].waiting == 10 * (len(offsets) - gate.calls[-1])
        gate.open.set()
        await until(lambda: lanes.unfinished == 0)
        gate.open.clear()
    await lanes.close()


async def test_the_bytes_of_a_record_are_counted_twice_however_often_its_run_is_cut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    measured: list[int] = []

    def counted(records: Sequence[RawRecord]) -> int:
        measured.append(len(records))
        return bytes_of(records)

    monkeypatch.setattr("streams.serial_lane.bytes_of", counted)
    asking = Asking()
    lanes = Lanes(serial(asking))
    lanes.offer(SOURCE, records(*range(1_000)))
    await until(lambda: lanes.unfinished == 0)
    assert len(asking.calls) > 2
    assert sum(measured) <= 2 * 1_000
    await lanes.close()
