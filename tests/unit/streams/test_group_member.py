"""Records are read only while the tables of the present generation are recovered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from streams.attempts import Pause
from streams.lane import Lanes
from streams.memory.log import MemoryLog
from streams.processor import More, no_more
from streams.records import RawRecord, TopicPartition
from streams.runtime.errors import RecoveryOverdue, WorkerFailed
from streams.runtime.member import GroupMember, Membership
from streams.serial_lane import SerialLane
from streams.settings import KafkaSettings
from streams.turns import AtOnce
from tests.unit.streams.idle import NothingToRedo, idle_lot, idle_redoing

SOURCE = TopicPartition("t", 0)


class Nothing:
    """A Process that is never done."""

    pause: Pause | None = None

    async def process(
        self, source: TopicPartition, records: Sequence[RawRecord], more: More = no_more
    ) -> None:
        """See Process."""
        await asyncio.Event().wait()


class Opened:
    """Stands for the feed: notes where reading begins."""

    def __init__(self) -> None:
        self.starts: list[dict[TopicPartition, int]] = []

    @property
    def is_open(self) -> bool:
        return bool(self.starts)

    def close(self) -> None:
        """Nothing is read from now on."""
        self.starts.clear()

    def open(self, starts: dict[TopicPartition, int]) -> None:
        self.starts.append(starts)


class Group:
    """A consumer whose group gives and takes partitions, and may not answer at first."""

    def __init__(self, given_up: int | None = None, failures: int = 0) -> None:
        self._given_up = given_up
        self._failures = failures
        self.while_asking: Callable[[], None] = lambda: None
        self._thread = SimpleNamespace(starts=self._starts)

    def assignment(self) -> set[TopicPartition]:
        return {SOURCE}

    def has_given_up(self, generation: int) -> bool:
        return generation == self._given_up

    def give_up(self, generation: int) -> None:
        self._given_up = generation

    async def _starts(self) -> dict[TopicPartition, int]:
        self.while_asking()
        if self._failures:
            self._failures -= 1
            raise ConnectionError("the coordinator has moved")
        return {SOURCE: 5}


@pytest.fixture
async def member(tmp_path: Path) -> GroupMember:
    membership = Membership(kafka=KafkaSettings(bootstrap="127.0.0.1:1"), data_dir=tmp_path)
    member = GroupMember("app.main", membership, {})
    lanes = Lanes(partial(SerialLane, Nothing(), AtOnce()))
    member.read_into(lanes, ["t"], idle_lot(), NothingToRedo())
    member._redoing = idle_redoing(MemoryLog(), member._fail)
    return member


@pytest.fixture
def feed(member: GroupMember) -> Opened:
    feed = Opened()
    member._feed = feed  # type: ignore[assignment]  # what the member uses of it
    return feed


def in_generation(
    member: GroupMember, group: Group, monkeypatch: pytest.MonkeyPatch, generation: int = 2
) -> None:
    monkeypatch.setattr(type(member._app), "consumer", group)
    monkeypatch.setattr("streams.runtime.member.TRY_AGAIN_S", 0)
    member._app.consumer_generation_id = generation


async def served(member: GroupMember, generation: int) -> None:
    """Let the member begin an assignment and come to its end."""
    member._serve(generation)
    if member._serving is not None:
        await asyncio.wait({member._serving})


async def test_recovered_tables_begin_the_reading_where_the_work_begins(
    member: GroupMember, feed: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_generation(member, Group(), monkeypatch)
    await served(member, 2)
    assert feed.starts == [{SOURCE: 5}]


async def test_an_assignment_that_is_reported_twice_begins_once(
    member: GroupMember, feed: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_generation(member, Group(), monkeypatch)
    await served(member, 2)
    await served(member, 2)
    assert len(feed.starts) == 1


async def test_a_group_that_does_not_answer_is_asked_again(
    member: GroupMember, feed: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_generation(member, Group(failures=3), monkeypatch)
    await served(member, 2)
    assert feed.starts == [{SOURCE: 5}]


@pytest.mark.parametrize(("reported", "given_up"), [(1, None), (2, 2)])
async def test_an_assignment_that_is_over_begins_nothing(
    member: GroupMember,
    feed: Opened,
    monkeypatch: pytest.MonkeyPatch,
    reported: int,
    given_up: int | None,
) -> None:
    in_generation(member, Group(given_up), monkeypatch)
    await served(member, reported)
    assert not feed.is_open


async def test_partitions_that_are_asked_back_meanwhile_begin_nothing(
    member: GroupMember, feed: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = Group()
    group.while_asking = lambda: group.give_up(2)
    in_generation(member, group, monkeypatch)
    await served(member, 2)
    assert not feed.is_open


async def test_a_recovery_is_cancelled_when_partitions_are_asked_back(
    member: GroupMember, feed: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Endless:
        is_abandoned = False

        async def recover(self, tables: object, partitions: object) -> None:
            await asyncio.Event().wait()

        def abandon(self) -> None:
            self.is_abandoned = True

    endless = Endless()
    member._recovery = endless  # type: ignore[assignment]  # a recovery that takes for ever
    in_generation(member, Group(), monkeypatch)
    member._serve(2)
    serving = member._serving
    assert serving is not None
    await asyncio.sleep(0)
    member._stop_reading()
    await asyncio.wait({serving})
    assert serving.cancelled()
    assert endless.is_abandoned
    assert not feed.is_open


async def test_a_recovery_that_is_overdue_ends_the_member(
    member: GroupMember, feed: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Overdue:
        async def recover(self, tables: object, partitions: object) -> None:
            raise RecoveryOverdue("after 600 s: runs/0 at 5 of 9")

    member._recovery = Overdue()  # type: ignore[assignment]  # what the member uses of it
    in_generation(member, Group(), monkeypatch)
    await served(member, 2)
    with pytest.raises(WorkerFailed, match="runs/0 at 5 of 9"):
        member.raise_failure()
    assert not feed.is_open


async def test_what_the_feed_cannot_go_on_with_ends_the_member(member: GroupMember) -> None:
    member._fail(RuntimeError("a defect"))
    with pytest.raises(WorkerFailed, match="a defect"):
        member.raise_failure()
