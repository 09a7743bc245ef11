"""The pump's guard: only the next record of an assigned partition reaches a lane."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from streams.attempts import Pause
from streams.lane import Lanes
from streams.records import RawRecord, TopicPartition
from streams.runtime.errors import WorkerFailed
from streams.runtime.member import GroupMember
from streams.settings import KafkaSettings

SOURCE = TopicPartition("t", 0)


class Nothing:
    """A Process that is never done."""

    pause: Pause | None = None

    async def process(self, source: TopicPartition, records: Sequence[RawRecord]) -> None:
        """See Process."""
        await asyncio.Event().wait()


def message(offset: int = 5) -> SimpleNamespace:
    return SimpleNamespace(
        topic="t",
        partition=0,
        offset=offset,
        timestamp=1.5,
        key=b"k",
        value=b"v",
        headers=[("h", b"1")],
    )


@pytest.fixture
async def lanes() -> Lanes:
    return Lanes(Nothing())


@pytest.fixture
async def member(lanes: Lanes, tmp_path: Path) -> GroupMember:
    member = GroupMember("app.main", KafkaSettings(bootstrap="127.0.0.1:1"), tmp_path, {})
    member.pump(["t"], lanes)
    return member


async def test_a_record_of_the_present_assignment_is_taken(
    member: GroupMember, lanes: Lanes
) -> None:
    member._intake.open({SOURCE: 5})
    await member._take(message())
    assert lanes.committable() == {SOURCE: 5}
    await lanes.close()


async def test_no_record_is_taken_before_the_tables_are_recovered(
    member: GroupMember, lanes: Lanes
) -> None:
    await member._take(message())
    assert lanes.committable() == {}


async def test_no_record_is_taken_while_partitions_are_being_given_up(
    member: GroupMember, lanes: Lanes
) -> None:
    member._intake.open({SOURCE: 5})
    member._intake.close()
    await member._take(message())
    assert lanes.committable() == {}


async def test_records_before_one_that_came_too_early_are_read_again(
    member: GroupMember, lanes: Lanes, monkeypatch: pytest.MonkeyPatch
) -> None:
    sought: list[tuple[TopicPartition, int]] = []

    class Consumer:
        async def seek(self, partition: tuple[str, int], offset: int) -> None:
            sought.append((TopicPartition(*partition), offset))

    monkeypatch.setattr(type(member._app), "consumer", Consumer())
    member._intake.open({SOURCE: 5})
    await member._take(message(offset=7))
    assert sought == [(SOURCE, 5)]
    assert lanes.committable() == {}


class Group:
    """A consumer whose group gives and takes partitions."""

    def __init__(self, given_up: int | None = None) -> None:
        self._given_up = given_up
        self.sought: list[tuple[TopicPartition, int]] = []
        self.while_seeking: Callable[[], None] = lambda: None

    def has_given_up(self, generation: int) -> bool:
        return generation == self._given_up

    async def seek_to_committed(self) -> dict[TopicPartition, int]:
        self.while_seeking()
        return {SOURCE: 5}

    async def seek(self, partition: tuple[str, int], offset: int) -> None:
        self.sought.append((TopicPartition(*partition), offset))


def in_generation(
    member: GroupMember, group: Group, monkeypatch: pytest.MonkeyPatch, generation: int = 2
) -> None:
    monkeypatch.setattr(type(member._app), "consumer", group)
    member._app.consumer_generation_id = generation


async def test_recovered_tables_open_the_intake_and_early_records_are_read_again(
    member: GroupMember, lanes: Lanes, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = Group()
    in_generation(member, group, monkeypatch)
    await member._take(message())
    await member._serve(2)
    assert group.sought == [(SOURCE, 5)]
    await member._take(message())
    assert lanes.committable() == {SOURCE: 5}
    await lanes.close()


@pytest.mark.parametrize(("recovered", "given_up"), [(1, None), (2, 2)])
async def test_a_recovery_that_ends_after_its_generation_opens_nothing(
    member: GroupMember, monkeypatch: pytest.MonkeyPatch, recovered: int, given_up: int | None
) -> None:
    in_generation(member, Group(given_up), monkeypatch)
    await member._serve(recovered)
    assert not member._intake.is_open


async def test_partitions_that_are_asked_back_during_the_seek_open_nothing(
    member: GroupMember, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = Group()
    group.while_seeking = member._intake.close
    in_generation(member, group, monkeypatch)
    await member._serve(2)
    assert not member._intake.is_open


async def test_a_lane_that_cannot_go_on_stops_the_pump_for_good(member: GroupMember) -> None:
    class Broken:
        async def offer(self, record: RawRecord) -> None:
            raise RuntimeError("a defect")

        def raise_failure(self) -> None:
            """The lane itself says nothing here."""

    member._lanes = Broken()  # type: ignore[assignment]  # a lane that fails at once
    member._intake.open({SOURCE: 5})
    pump = asyncio.create_task(member._take(message()))
    done, _ = await asyncio.wait({pump}, timeout=0.05)
    assert not done
    with pytest.raises(WorkerFailed, match="a defect"):
        member.raise_failure()
    pump.cancel()
