"""Topics on a real broker: planned, applied, then as they should be."""

from __future__ import annotations

import uuid
from dataclasses import replace

import pytest

from infra.errors import BrokerUnreachable, TopicPlanRefused
from infra.topics import Action, apply, plan, topic_ids
from schemas.topics import TopicSpec
from streams.errors import TopicMissing

pytestmark = pytest.mark.kafka


@pytest.fixture
def spec() -> TopicSpec:
    return TopicSpec(
        name=f"test.{uuid.uuid4().hex}",
        partitions=2,
        config={"cleanup.policy": "compact", "retention.ms": "1000"},
        why="a test",
    )


def test_an_applied_plan_leaves_nothing_to_do(kafka_bootstrap: str, spec: TopicSpec) -> None:
    changes = plan(kafka_bootstrap, [spec])
    assert [change.action for change in changes] == [Action.CREATE]
    apply(kafka_bootstrap, changes)
    assert plan(kafka_bootstrap, [spec]) == []


def test_a_plan_that_another_process_applied_first_is_no_error(
    kafka_bootstrap: str, spec: TopicSpec
) -> None:
    changes = plan(kafka_bootstrap, [spec])
    apply(kafka_bootstrap, changes)
    apply(kafka_bootstrap, changes)
    assert plan(kafka_bootstrap, [spec]) == []


def test_a_changed_setting_is_applied_in_place(kafka_bootstrap: str, spec: TopicSpec) -> None:
    apply(kafka_bootstrap, plan(kafka_bootstrap, [spec]))
    before = topic_ids(kafka_bootstrap, [spec.name])
    changed = replace(spec, config={**spec.config, "retention.ms": "2000"})
    changes = plan(kafka_bootstrap, [changed])
    assert [change.detail for change in changes] == ["retention.ms: 1000 -> 2000"]
    apply(kafka_bootstrap, changes)
    assert plan(kafka_bootstrap, [changed]) == []
    assert topic_ids(kafka_bootstrap, [spec.name]) == before


def test_a_plan_with_another_partition_count_changes_nothing(
    kafka_bootstrap: str, spec: TopicSpec
) -> None:
    apply(kafka_bootstrap, plan(kafka_bootstrap, [spec]))
    grown = replace(spec, partitions=3, config={"retention.ms": "7"})
    with pytest.raises(TopicPlanRefused, match=r"has 2 partitions, should have 3"):
        apply(kafka_bootstrap, plan(kafka_bootstrap, [grown]))
    assert plan(kafka_bootstrap, [spec]) == []


def test_topics_have_different_ids(kafka_bootstrap: str, spec: TopicSpec) -> None:
    other = replace(spec, name=f"{spec.name}.other")
    apply(kafka_bootstrap, plan(kafka_bootstrap, [spec, other]))
    ids = topic_ids(kafka_bootstrap, [spec.name, other.name])
    assert len(set(ids.values())) == 2


def test_a_missing_topic_is_named_with_the_way_to_make_it(
    kafka_bootstrap: str, spec: TopicSpec
) -> None:
    apply(kafka_bootstrap, plan(kafka_bootstrap, [spec]))
    missing = f"{spec.name}.missing"
    with pytest.raises(TopicMissing, match=missing) as refused:
        topic_ids(kafka_bootstrap, [spec.name, spec.name, missing])
    assert "wundr topics apply" in refused.value.remedy


def test_a_setting_that_the_broker_refuses_is_a_typed_error(
    kafka_bootstrap: str, spec: TopicSpec
) -> None:
    wrong = replace(spec, config={"no.such.setting": "1"})
    with pytest.raises(TopicPlanRefused, match=f"creating topic {spec.name}: .*no.such.setting"):
        apply(kafka_bootstrap, plan(kafka_bootstrap, [wrong]))


def test_a_topic_that_is_named_twice_is_made_once(kafka_bootstrap: str, spec: TopicSpec) -> None:
    apply(kafka_bootstrap, plan(kafka_bootstrap, [spec, spec]))
    assert plan(kafka_bootstrap, [spec, spec]) == []


def test_a_broker_that_is_away_is_a_typed_error(
    spec: TopicSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.topics._TIMEOUT_S", 0.5)
    with pytest.raises(BrokerUnreachable, match=r"No Kafka broker answers at 127\.0\.0\.1:1\."):
        plan("127.0.0.1:1", [spec])
