from __future__ import annotations

from collections.abc import Callable

import pytest
from confluent_kafka import KafkaError, KafkaException

from benchmarks.errors import BrokerNotReady
from benchmarks.patience import Patience

NO_LEADER = KafkaException(KafkaError(KafkaError.NOT_LEADER_FOR_PARTITION))


class Time:
    """A clock that goes on only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def patience(self, longest_s: float) -> Patience:
        return Patience(longest_s=longest_s, pause_s=1.0, clock=lambda: self.now, sleep=self.sleep)


def _refusing(times: int, error: Exception) -> Callable[[], str]:
    left = [error] * times

    def ask() -> str:
        if left:
            raise left.pop()
        return "answer"

    return ask


def test_a_partition_without_a_leader_is_asked_again_until_it_has_one() -> None:
    time = Time()
    assert time.patience(10).until_answered("topic, partition 0", _refusing(4, NO_LEADER)) == (
        "answer"
    )
    assert time.now == 4.0


def test_the_wait_is_bounded_and_says_for_what_it_waited() -> None:
    time = Time()
    with pytest.raises(BrokerNotReady, match="topic, partition 0: no answer after 3 s") as caught:
        time.patience(3).until_answered("topic, partition 0", _refusing(100, NO_LEADER))
    assert caught.value.retryable
    assert caught.value.remedy
    assert time.now == 3.0


def test_an_error_that_will_not_pass_is_raised_at_once() -> None:
    time = Time()
    refused = KafkaException(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED))
    with pytest.raises(KafkaException):
        time.patience(10).until_answered("topic, partition 0", _refusing(1, refused))
    assert time.now == 0.0
