"""Until when a saga has taken everything in, told by what its group has finished."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from streams.errors import BrokerUnavailable
from streams.records import TopicPartition
from streams.sagas import intake as module
from streams.sagas.intake import GroupIntake

ONE, TWO = TopicPartition("events.domain.high", 0), TopicPartition("events.domain.high", 1)
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
LOOK_S = module.LOOK.total_seconds()
STUCK_S = module.STUCK.total_seconds()


class ScriptedGroup:
    """A group and its topics, as they are at a time that is set."""

    def __init__(self) -> None:
        self.end = {ONE: 10, TWO: 10}
        self.done = {ONE: 10, TWO: 10}
        self.now = BEGAN
        self.looks = 0
        self.is_away = False

    async def ends(self) -> Mapping[TopicPartition, int]:
        self.looks += 1
        if self.is_away:
            raise BrokerUnavailable("away")
        return dict(self.end)

    async def finished(self) -> Mapping[TopicPartition, int]:
        return dict(self.done)

    async def close(self) -> None:
        """Nothing is open."""

    def clock(self) -> datetime:
        return self.now

    async def later(self, intake: GroupIntake, seconds: float) -> datetime | None:
        self.now += timedelta(seconds=seconds)
        return await intake.until()


@pytest.fixture
def group() -> ScriptedGroup:
    return ScriptedGroup()


@pytest.fixture
def intake(group: ScriptedGroup) -> GroupIntake:
    return GroupIntake(group, group.clock)


async def test_a_saga_that_is_not_behind_is_not_waited_for(
    group: ScriptedGroup, intake: GroupIntake
) -> None:
    assert await intake.until() is None


async def test_what_lies_in_any_partition_is_waited_for(
    group: ScriptedGroup, intake: GroupIntake
) -> None:
    group.done[TWO] = 7
    assert await intake.until() is not None
    group.done[ONE] = 99
    assert await group.later(intake, 1) is not None
    group.done[TWO] = 10
    assert await group.later(intake, 1) is None


async def test_what_was_sent_until_a_time_may_be_taken_in_while_more_comes(
    group: ScriptedGroup, intake: GroupIntake
) -> None:
    group.done = {ONE: 0, TWO: 0}
    await intake.until()
    group.end = {ONE: 50, TWO: 50}
    await group.later(intake, 20)
    group.done = {ONE: 10, TWO: 12}
    assert await group.later(intake, 20) == BEGAN
    group.done = {ONE: 50, TWO: 50}
    assert await group.later(intake, 1) is None


async def test_events_that_come_all_the_time_hold_nothing_up(
    group: ScriptedGroup, intake: GroupIntake
) -> None:
    answers: list[datetime | None] = []
    for _ in range(50):
        group.done = dict(group.end)
        group.end = {source: end + 100 for source, end in group.end.items()}
        answers.append(await group.later(intake, LOOK_S))
    assert set(answers[2:]) == {None}


async def test_it_is_not_looked_at_each_question(group: ScriptedGroup, intake: GroupIntake) -> None:
    await intake.until()
    for _ in range(10):
        await group.later(intake, LOOK_S / 20)
    assert group.looks == 1


async def looked_for(
    group: ScriptedGroup, intake: GroupIntake, seconds: float
) -> list[datetime | None]:
    """What is said at the end of each second, for so long."""
    return [await group.later(intake, 1) for _ in range(round(seconds))]


async def test_a_group_that_stands_still_is_waited_for_no_more_until_it_moves(
    group: ScriptedGroup, intake: GroupIntake
) -> None:
    group.done[TWO] = 7
    answers = await looked_for(group, intake, STUCK_S)
    assert None not in answers
    assert await group.later(intake, 1) is None
    group.done[TWO] = 8
    answers = await looked_for(group, intake, STUCK_S)
    assert None not in answers[6:], "once what was known before it moved is no longer fresh"


async def test_one_partition_that_is_stuck_holds_nothing_up_for_ever_while_another_moves(
    group: ScriptedGroup, intake: GroupIntake
) -> None:
    group.done[TWO] = 9
    answers = []
    for _ in range(round(STUCK_S) + 2):
        group.end[ONE] += 1
        group.done[ONE] = group.end[ONE]
        answers += await looked_for(group, intake, 1)
    assert answers[0] is not None
    assert answers[-1] is None


@pytest.mark.parametrize("pause_s", [90.0, 3_600.0])
async def test_a_time_in_which_nobody_looked_says_nothing_about_standing_still(
    group: ScriptedGroup, intake: GroupIntake, pause_s: float
) -> None:
    assert await intake.until() is None
    group.end[ONE] = 11
    assert await group.later(intake, pause_s) is not None
    answers = await looked_for(group, intake, STUCK_S - 1)
    assert None not in answers
    group.done[ONE] = 11
    assert await group.later(intake, 1) is None


async def test_a_partition_that_was_found_stuck_is_not_waited_for_anew_after_a_pause(
    group: ScriptedGroup, intake: GroupIntake
) -> None:
    group.done[TWO] = 7
    await looked_for(group, intake, STUCK_S + 1)
    await group.later(intake, 3_600)
    assert await group.later(intake, 1) is None


async def test_a_look_that_fails_changes_nothing(group: ScriptedGroup, intake: GroupIntake) -> None:
    group.end[ONE] = 11
    await intake.until()
    group.is_away = True
    for _ in range(round(STUCK_S) + 1):
        with suppress(BrokerUnavailable):
            await group.later(intake, 1)
    group.is_away = False
    assert await group.later(intake, 1) is not None


async def test_a_group_that_is_slow_is_waited_for_as_long_as_it_moves(
    group: ScriptedGroup, intake: GroupIntake
) -> None:
    group.end[ONE] = 1_000_000
    for step in range(2 * module.MOST_MARKS):
        group.done[ONE] = 10 + step
        assert await group.later(intake, STUCK_S / 2) is not None
    assert len(intake._marks) <= module.MOST_MARKS
    group.done[ONE] = group.end[ONE]
    assert await group.later(intake, STUCK_S / 2) is None
