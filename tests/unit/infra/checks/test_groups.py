"""A group is wrong when nobody works, when a partition is left out, or when work does not move."""

from __future__ import annotations

from dataclasses import replace

import pytest

from infra.checks.groups import group_findings
from infra.finding import Finding
from infra.groups import Group, GroupPartition
from schemas.topics import changelog_topic, repartition_topic
from streams.records import TopicPartition


def partition(
    number: int, committed: int | None, end: int, owner: str | None = "w"
) -> GroupPartition:
    return GroupPartition(
        source=TopicPartition("events.domain.low", number),
        owner=owner,
        committed=committed,
        beginning=0,
        end=end,
    )


def changelog(number: int, owner: str | None = "w") -> GroupPartition:
    """Assigned with the partition of its table, never committed."""
    source = TopicPartition(changelog_topic("team", "main", "totals"), number)
    return replace(partition(number, None, 5_000, owner), source=source)


def group(*partitions: GroupPartition, state: str = "stable", members: int = 1) -> Group:
    return Group(
        name="team.main",
        state=state,
        members=["w"] * members,
        partitions=partitions,
    )


def only(before: Group, after: Group) -> Finding:
    (finding,) = group_findings([before], [after])
    return finding


def test_a_group_that_works_is_right_though_it_is_behind() -> None:
    finding = only(group(partition(0, 5, 100)), group(partition(0, 50, 100)))
    assert finding.remedy is None
    assert "50 records" in finding.message


def test_work_without_a_member_is_wrong_and_says_what_to_start() -> None:
    empty = group(partition(0, 5, 100, None), state="empty", members=0)
    finding = only(empty, empty)
    assert finding.remedy is not None
    assert "no member, and 95 records" in finding.message
    assert "wundr worker" in finding.remedy


@pytest.mark.parametrize(
    ("name", "command"), [("wundr.sink", "wundr sink"), ("wundr.platform", "wundr worker platform")]
)
def test_the_platforms_own_groups_name_their_commands(name: str, command: str) -> None:
    empty = replace(group(partition(0, 5, 9, None), state="empty", members=0), name=name)
    assert only(empty, empty).remedy == command


def test_a_group_that_nobody_uses_any_more_and_that_is_done_is_right() -> None:
    done = group(partition(0, 100, 100, None), state="empty", members=0)
    assert only(done, done).remedy is None


def test_a_partition_that_nobody_owns_is_named() -> None:
    left = group(partition(0, 9, 9), partition(1, 9, 9, None))
    finding = only(left, left)
    assert finding.remedy is not None
    assert "nobody owns events.domain.low/1" in finding.message


def test_a_group_in_a_rebalance_has_partitions_without_owners_for_a_moment() -> None:
    moving = group(partition(0, 9, 9, None), state="preparing_rebalancing")
    assert only(moving, moving).remedy is None


def test_work_of_which_nothing_is_done_stands_still() -> None:
    finding = only(group(partition(0, 5, 50)), group(partition(0, 5, 60)))
    assert "stands still at events.domain.low/0, 55 records behind" in finding.message
    assert finding.remedy is not None
    assert "/ready" in finding.remedy


def test_work_whose_worker_says_what_it_waits_for_is_not_said_again() -> None:
    still, more = group(partition(0, 5, 50)), group(partition(0, 5, 60))
    (finding,) = group_findings([still], [more], paused={"team.main"})
    assert finding.remedy is None
    assert [it.remedy is None for it in group_findings([still], [more], {"team.other"})] == [False]


def test_what_has_just_arrived_does_not_stand_still() -> None:
    assert only(group(partition(0, 50, 50)), group(partition(0, 50, 60))).remedy is None


def test_lag_that_grows_while_work_goes_on_asks_for_more_workers() -> None:
    finding = only(group(partition(0, 5, 50)), group(partition(0, 6, 90)))
    assert "falls behind: 45, a moment later 84" in finding.message
    assert finding.remedy is not None
    assert "one more worker" in finding.remedy


def test_what_is_no_longer_kept_is_no_lag() -> None:
    trimmed = replace(partition(0, None, 100), beginning=90)
    assert trimmed.lag == 10
    assert replace(trimmed, committed=5).lag == 10


def test_what_tables_are_recovered_from_is_no_work() -> None:
    before = group(partition(0, 5, 9), changelog(0), changelog(1, None))
    after = group(partition(0, 7, 9), changelog(0), changelog(1, None))
    finding = only(before, after)
    assert finding.remedy is None
    assert "1 groups, 2 records to work on" in finding.message


def test_a_group_without_members_has_no_work_in_its_changelogs() -> None:
    left = group(partition(0, 9, 9, None), changelog(0, None), state="empty", members=0)
    assert only(left, left).remedy is None


def test_what_is_keyed_again_is_work() -> None:
    source = TopicPartition(repartition_topic("team", "totals"), 0)
    keyed = group(replace(partition(0, None, 50), source=source))
    assert "stands still at repartition.team.totals/0" in only(keyed, keyed).message
