"""A topic plan creates and configures, never deletes, never changes a partition count."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from confluent_kafka.error import KafkaError

from infra.cli import run
from infra.commands import worker
from infra.errors import BrokerUnreachable, TopicPlanRefused
from infra.topics import Action, ExistingTopic, apply, compare, translated
from schemas.errors import WundrError
from schemas.topics import TopicSpec
from streams.app import App
from streams.errors import TopicMissing
from streams.settings import KafkaSettings

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


def test_a_topic_that_is_asked_for_twice_alike_is_one_step() -> None:
    (change,) = compare([WANTED, replace(WANTED, why="for another app")], {})
    assert change.spec == WANTED


def test_a_topic_that_is_asked_for_in_two_ways_is_refused_by_name() -> None:
    with pytest.raises(TopicPlanRefused, match=r"events\.domain\.low is asked for twice: 4 .* 8"):
        compare([WANTED, replace(WANTED, partitions=8)], {})


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (KafkaError.UNKNOWN_TOPIC_OR_PART, TopicMissing),
        (KafkaError._TRANSPORT, BrokerUnreachable),
        (KafkaError._TIMED_OUT, BrokerUnreachable),
        (KafkaError.NOT_CONTROLLER, BrokerUnreachable),
        (KafkaError.INVALID_CONFIG, TopicPlanRefused),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, TopicPlanRefused),
    ],
)
def test_what_the_broker_answers_becomes_a_typed_error(
    code: int, expected: type[WundrError]
) -> None:
    error = translated(KafkaError(code, "because", retriable=code == 41), "creating topic t")
    assert type(error) is expected
    assert error.message == "creating topic t: because"


@pytest.mark.parametrize(
    ("target", "remedy"),
    [
        ("shop.app", "Run `wundr topics apply shop.app`."),
        ("platform", "Run `wundr topics apply`."),
    ],
)
def test_a_worker_without_its_topics_names_the_command_that_makes_them(
    target: str,
    remedy: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    def refuse(_run: object) -> None:
        raise TopicMissing("topic 'retry.shop' does not exist")

    monkeypatch.setattr(worker, "load_app", lambda path: App("shop"))
    monkeypatch.setattr(worker, "store_plan", lambda name: None)
    monkeypatch.setattr(worker, "run_until_signalled", refuse)
    monkeypatch.setattr(worker, "_places", lambda: (KafkaSettings(bootstrap="?"), tmp_path, None))
    assert run(["worker", target]) == 1
    assert capsys.readouterr().err == (
        f"wundr: topic 'retry.shop' does not exist\n  next:  {remedy}\n"
    )


def test_a_missing_topic_has_the_remedy_that_makes_it() -> None:
    assert "wundr topics apply" in translated(KafkaError(3), "looking up topic t").remedy
