"""Work that takes in what comes meanwhile: one batch of a lane, and its offsets."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from streams.lane import Lanes
from streams.processor import More, no_more
from streams.records import RawRecord, TopicPartition
from streams.serial_lane import LARGEST_BATCH
from tests.unit.streams.test_lane import SOURCE, Gate, records, serial, until


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
