"""What a sink, a relay, projections and a catch-up subscription say of themselves."""

from __future__ import annotations

from typing import Any

from connectors.catch_up_status import CatchUpStatus
from connectors.outbox import Delay
from connectors.relay_status import RelayStatus
from connectors.sink_status import SinkStatus, SinkStep
from connectors.status_pages import CatchUpNumbers, RelayNumbers, SinkNumbers
from streams.metrics import MetricSource
from streams.records import TopicPartition


def numbers(source: MetricSource) -> dict[tuple[str, ...], Any]:
    """The samples by their name and labels."""
    return {(it.metric.name, *it.labels): it.value for it in source.samples()}


def test_the_lag_of_a_sink_is_what_stands_behind_the_last_stored_record() -> None:
    ends = {TopicPartition("store.events", at): end for at, end in ((0, 100), (1, 50), (2, 7))}
    status = SinkStatus(stored=90, next={0: 90}, claimed={0: 40, 1: 50}, known_ends=lambda: ends)
    assert status.lag() == {0: 10, 1: 0}, "of partition 2 it is not known where it begins"
    found = numbers(SinkNumbers(status))
    assert found["wundr_sink_lag_records", "0"] == 10
    assert found["wundr_sink_stored_rows_total",] == 90


def test_a_partition_that_another_sink_had_meanwhile_begins_at_its_claim() -> None:
    ends = {TopicPartition("store.events", 0): 100}
    status = SinkStatus(next={0: 30}, claimed={0: 80}, known_ends=lambda: ends)
    assert status.lag() == {0: 20}


def test_a_sink_is_ready_once_it_has_joined_and_while_nothing_is_away() -> None:
    status = SinkStatus()
    sink = SinkNumbers(status)
    assert sink.not_ready() == "has not joined its group yet"
    status.step = SinkStep.JOINED
    assert sink.not_ready() is None
    status.waiting_for = "connectors.database_unavailable"
    assert sink.not_ready() == "waits: connectors.database_unavailable"


def test_a_relay_names_its_shards_and_the_age_of_the_outbox() -> None:
    status = RelayStatus(
        owned={1}, epochs={1: 7}, sent=3, delay=Delay(oldest_s=2.5, waiting=4), is_connected=True
    )
    found = numbers(RelayNumbers(status, (0, 1)))
    assert found["wundr_relay_shard_owned", "0"] == 0
    assert found["wundr_relay_shard_owned", "1"] == 1
    assert found["wundr_relay_shard_epoch", "1"] == 7
    assert found["wundr_outbox_oldest_seconds",] == 2.5
    assert found["wundr_outbox_waiting_events",] == 4


def test_a_relay_that_stands_by_is_ready_and_one_that_waits_says_for_what() -> None:
    status = RelayStatus()
    relay = RelayNumbers(status, (0, 1))
    assert relay.not_ready() == "has not reached the outbox yet"
    status.is_connected = True
    assert relay.not_ready() is None
    status.waiting_for = {1: "streams.broker_unavailable"}
    assert relay.not_ready() == "shard 1 waits: streams.broker_unavailable"


def test_a_catch_up_subscription_is_ready_when_history_is_read() -> None:
    status = CatchUpStatus(partitions=(0, 1), events=5, next={0: 9}, live={0})
    caught_up = CatchUpNumbers("search", status)
    assert caught_up.not_ready() == "reads the history of 1 partitions"
    status.live.add(1)
    assert caught_up.not_ready() is None
    found = numbers(caught_up)
    assert found["wundr_catch_up_events_total", "search"] == 5
    assert found["wundr_catch_up_live", "search", "0"] == 1
