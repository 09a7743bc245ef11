"""The relay's alarms and the store's counts, each with a next command."""

from __future__ import annotations

from dataclasses import replace

import pytest

from connectors.outbox import Delay
from connectors.postgres.store_health import StoreHealth
from infra.checks.store import relay_findings, store_findings
from infra.finding import Finding

HEALTHY = StoreHealth(topic_ids=frozenset({"t"}), next={0: 10, 1: 5}, events=15, unconfirmed=0)
ENDS = {0: 10, 1: 5}


def only(found: list[Finding]) -> Finding:
    (finding,) = found
    return finding


@pytest.mark.parametrize(
    ("delay", "word"),
    [
        (Delay(oldest_s=31, waiting=7), "wundr relay"),
        (Delay(holder_s=31), "pg_stat_activity"),
        (Delay(horizon_s=31), "pg_prepared_xacts"),
    ],
)
def test_whatever_holds_the_relay_back_has_a_remedy(delay: Delay, word: str) -> None:
    finding = only(list(relay_findings(delay)))
    assert finding.remedy is not None
    assert word in finding.remedy
    assert "31 s" in finding.message


def test_an_outbox_that_is_emptied_is_right() -> None:
    assert only(list(relay_findings(Delay(oldest_s=1, waiting=3)))).remedy is None


def test_a_store_that_follows_its_kafka_is_right() -> None:
    finding = only(list(store_findings(HEALTHY, "t", {0: 12, 1: 5})))
    assert finding.remedy is None
    assert "15 events stored, 2 on their way" in finding.message


def test_an_empty_store_is_right() -> None:
    empty = StoreHealth(topic_ids=frozenset(), next={}, events=0, unconfirmed=0)
    assert only(list(store_findings(empty, "t", {0: 0}))).remedy is None


def test_another_kafka_is_named() -> None:
    finding = only(list(store_findings(HEALTHY, "other", ENDS)))
    assert finding.remedy is not None
    assert "another Kafka" in finding.message


def test_a_kafka_that_lost_records_is_named_by_partition() -> None:
    finding = only(list(store_findings(HEALTHY, "t", {0: 10, 1: 4})))
    assert finding.remedy is not None
    assert "partitions 1" in finding.message


def test_events_that_nobody_sent_are_counted_once_the_sink_has_read_everything() -> None:
    lost = replace(HEALTHY, unconfirmed=3)
    assert "3 stored events" in only(list(store_findings(lost, "t", ENDS))).message
    assert only(list(store_findings(lost, "t", {0: 11, 1: 5}))).remedy is None
