"""A topic plan creates and configures, never deletes, never changes a partition count."""

from __future__ import annotations

import pytest

from infra.errors import TopicPlanRefused
from infra.topics import Action, ExistingTopic, apply, compare
from schemas.topics import TopicSpec

WANTED = TopicSpec(
    name="events.domain.low", partitions=4, config={"retention.ms": "1000"}, why="events"
)


def actions(existing: dict[str, ExistingTopic]) -> list[Action]:
    return [change.action for change in compare([WANTED], existing)]


def test_a_missing_topic_is_created() -> None:
    assert actions({}) == [Action.CREATE]


def test_a_topic_as_it_should_be_needs_no_change() -> None:
    same = ExistingTopic(partitions=4, config={"retention.ms": "1000", "segment.ms": "5"})
    assert actions({WANTED.name: same}) == []


def test_a_differing_setting_is_set_and_both_values_are_shown() -> None:
    other = ExistingTopic(partitions=4, config={"retention.ms": "7"})
    (change,) = compare([WANTED], {WANTED.name: other})
    assert change.action is Action.CONFIGURE
    assert change.detail == "retention.ms: 7 -> 1000"


def test_another_partition_count_is_refused() -> None:
    other = ExistingTopic(partitions=8, config={"retention.ms": "1000"})
    assert actions({WANTED.name: other}) == [Action.REFUSE]


def test_topics_that_nobody_asks_for_are_left_alone() -> None:
    same = ExistingTopic(partitions=4, config={"retention.ms": "1000"})
    assert actions({WANTED.name: same, "other": ExistingTopic(partitions=1, config={})}) == []


def test_a_refused_step_stops_the_plan_before_the_broker_is_asked() -> None:
    other = ExistingTopic(partitions=8, config={})
    with pytest.raises(TopicPlanRefused, match="has 8 partitions, should have 4"):
        apply("127.0.0.1:1", compare([WANTED], {WANTED.name: other}))
