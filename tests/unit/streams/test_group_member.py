"""The pump's guard: only records of the present assignment reach a lane."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from streams.attempts import Pause
from streams.lane import Lanes
from streams.records import RawRecord, TopicPartition
from streams.runtime.errors import WorkerFailed
from streams.runtime.member import GroupMember
from streams.settings import KafkaSettings


class Nothing:
    """A Process that is never done."""

    pause: Pause | None = None

    async def process(self, source: TopicPartition, records: Sequence[RawRecord]) -> None:
        """See Process."""
        await asyncio.Event().wait()


def message(generation: int, offset: int = 5) -> SimpleNamespace:
    return SimpleNamespace(
        topic="t",
        partition=0,
        offset=offset,
        timestamp=1.5,
        key=b"k",
        value=b"v",
        headers=[("h", b"1")],
        generation_id=generation,
    )


@pytest.fixture
async def lanes() -> Lanes:
    return Lanes(Nothing())


@pytest.fixture
async def member(lanes: Lanes, tmp_path: Path) -> GroupMember:
    member = GroupMember("app.main", KafkaSettings(bootstrap="127.0.0.1:1"), tmp_path, {})
    member.pump(["t"], lanes)
    member._app.consumer_generation_id = 2
    member._app.flow_control.resume()
    return member


async def test_a_record_of_the_present_assignment_is_taken(
    member: GroupMember, lanes: Lanes
) -> None:
    await member._take(message(generation=2))
    assert lanes.committable() == {TopicPartition("t", 0): 5}
    await lanes.close()


async def test_a_record_of_an_assignment_that_is_over_is_left_to_the_next_fetch(
    member: GroupMember, lanes: Lanes
) -> None:
    await member._take(message(generation=1))
    assert lanes.committable() == {}


async def test_no_record_is_taken_while_partitions_are_being_given_up(
    member: GroupMember, lanes: Lanes
) -> None:
    member._app.flow_control.suspend()
    await member._take(message(generation=2))
    assert lanes.committable() == {}


async def test_a_lane_that_cannot_go_on_stops_the_pump_for_good(member: GroupMember) -> None:
    class Broken:
        async def offer(self, record: RawRecord) -> None:
            raise RuntimeError("a defect")

        def raise_failure(self) -> None:
            """The lane itself says nothing here."""

    member._lanes = Broken()  # type: ignore[assignment]  # a lane that fails at once
    pump = asyncio.create_task(member._take(message(generation=2)))
    done, _ = await asyncio.wait({pump}, timeout=0.05)
    assert not done
    with pytest.raises(WorkerFailed, match="a defect"):
        member.raise_failure()
    pump.cancel()
