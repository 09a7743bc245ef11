"""How far behind a topic is."""

from __future__ import annotations

from streams.backlog import Backlog, Lag, lag_by_topic
from streams.records import TopicPartition

FIRST, SECOND = TopicPartition("events.domain.low", 0), TopicPartition("events.domain.low", 1)


def test_what_is_not_fetched_and_what_is_not_finished_are_both_behind() -> None:
    lags = lag_by_topic(
        {FIRST: 100, SECOND: 50},
        {FIRST: 90, SECOND: 50},
        {FIRST: Backlog(5, 4_000), SECOND: Backlog(2, 1_000)},
        now_ms=10_000,
    )
    assert lags == {"events.domain.low": Lag(records=17, seconds=9.0)}


def test_a_topic_that_is_done_has_no_lag() -> None:
    assert lag_by_topic({FIRST: 7}, {FIRST: 7}, {}, 0) == {
        "events.domain.low": Lag(records=0, seconds=0.0)
    }


def test_the_age_of_records_that_nobody_has_fetched_is_not_known() -> None:
    assert lag_by_topic({FIRST: 7}, {FIRST: 2}, {}, 0)["events.domain.low"].seconds is None


def test_an_end_that_is_older_than_the_position_is_no_negative_lag() -> None:
    assert lag_by_topic({FIRST: 3}, {FIRST: 7}, {}, 0)["events.domain.low"].records == 0


def test_a_partition_that_is_done_does_not_hide_one_whose_age_is_not_known() -> None:
    lags = lag_by_topic({FIRST: 7, SECOND: 3}, {FIRST: 2, SECOND: 3}, {}, 0)
    assert lags["events.domain.low"] == Lag(records=5, seconds=None)
