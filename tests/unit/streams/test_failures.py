"""Failed events are read whatever the key of their record is."""

from __future__ import annotations

from datetime import UTC, datetime

from schemas.headers import CE_ID, CE_TYPE
from streams.dead_letter import Failure, dead_letter
from streams.failures import ended_address, is_failure_topic, read_failure, standing
from streams.records import Origin, RawRecord

NOW = datetime(2026, 1, 2, tzinfo=UTC)
ADDRESS = b"team.main/take/events.domain.low/1/7"


def letter(offset: int = 0, key: bytes | None = None) -> RawRecord:
    source = RawRecord(
        topic="events.domain.low",
        partition=1,
        offset=7,
        timestamp_ms=1,
        key=b"A/1",
        value=b"bytes",
        headers=((CE_ID, b"e-1"), (CE_TYPE, b"analysis.started")),
    )
    failure = Failure(
        app="team", group="team.main", handler="take", error=ValueError("no"), tries=3
    )
    sent = dead_letter(source, failure, NOW)
    return RawRecord(
        sent.topic, sent.partition or 0, offset, 5, key or sent.key, sent.value, sent.headers
    )


def end(offset: int) -> RawRecord:
    return RawRecord("dlq.team", 0, offset, 9, ADDRESS, None)


def test_a_dead_letter_says_who_failed_why_and_when() -> None:
    found = read_failure(letter())
    assert found is not None
    assert (found.app, found.group, found.handler) == ("team", "team.main", "take")
    assert (found.is_parked, found.tries) == (True, 3)
    assert found.error == "ValueError: no"
    assert found.at_ms == round(NOW.timestamp() * 1_000)
    assert found.origin == Origin("events.domain.low", 1, 7)
    assert (found.event_id, found.event_type) == ("e-1", "analysis.started")


def test_a_record_without_a_value_ends_the_failure_at_its_address() -> None:
    assert read_failure(end(1)) is None
    assert ended_address(end(1)) == ("team.main", "take", Origin("events.domain.low", 1, 7))
    assert ended_address(letter()) is None


def test_a_key_that_is_no_address_ends_nothing() -> None:
    assert ended_address(RawRecord("dlq.team", 0, 1, 9, b"A/1", None)) is None


def test_the_last_record_of_an_address_is_what_is_true() -> None:
    assert len(standing([letter(0, ADDRESS), letter(1, ADDRESS)])) == 1
    assert standing([letter(0, ADDRESS), end(1)]) == []


def test_letters_under_the_key_of_their_event_each_stand_for_themselves() -> None:
    assert len(standing([letter(0, b"A/1"), letter(1, b"A/1")])) == 2


def test_topics_of_failed_events_are_known_by_their_names() -> None:
    assert is_failure_topic("dlq.team")
    assert is_failure_topic("retry.team")
    assert not is_failure_topic("events.domain.low")
