"""Dead letters keep the bytes and say why."""

from __future__ import annotations

from datetime import UTC, datetime

from schemas.errors import TruncatedEvent
from streams.dead_letter import LONGEST_ERROR, Failure, dead_letter
from streams.records import RawRecord

RECORD = RawRecord(
    topic="events.domain.low",
    partition=2,
    offset=41,
    timestamp_ms=0,
    key=b"Analysis/a1",
    value=b"\x00\x01raw",
    headers=(("ce_id", b"1"), ("ce_type", b"analysis.started")),
)
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def failure(error: BaseException) -> Failure:
    return Failure(app="team", group="team.main", handler="notify", error=error, tries=3)


def test_key_bytes_and_headers_are_kept() -> None:
    letter = dead_letter(RECORD, failure(ValueError("no")), NOW)
    assert (letter.topic, letter.key, letter.value) == ("dlq.team", b"Analysis/a1", b"\x00\x01raw")
    assert letter.headers[:2] == RECORD.headers


def test_headers_say_where_from_who_why_and_how_often() -> None:
    headers = dict(dead_letter(RECORD, failure(ValueError("no")), NOW).headers)
    assert headers["wundr_origin"] == b"events.domain.low/2/41"
    assert headers["wundr_subscription"] == b"team.main"
    assert headers["wundr_handler"] == b"notify"
    assert headers["wundr_reason"] == b"ValueError"
    assert headers["wundr_last_error"] == b"ValueError: no"
    assert headers["wundr_retry_count"] == b"3"
    assert headers["wundr_dead_lettered_at"] == b"2026-01-02T03:04:05+00:00"


def test_the_reason_of_a_platform_error_is_its_stable_code() -> None:
    headers = dict(dead_letter(RECORD, failure(TruncatedEvent()), NOW).headers)
    assert headers["wundr_reason"] == b"schemas.truncated_event"


def test_a_copied_record_keeps_its_first_place_once() -> None:
    copied = RawRecord(
        topic="repartition.team.totals",
        partition=0,
        offset=7,
        timestamp_ms=0,
        key=b"p1",
        value=b"",
        headers=(("wundr_origin", b"events.domain.low/2/41"),),
    )
    headers = dead_letter(copied, failure(ValueError("no")), NOW).headers
    origins = [value for name, value in headers if name == "wundr_origin"]
    assert origins == [b"events.domain.low/2/41"]


def test_a_long_or_odd_error_text_still_fits() -> None:
    headers = dict(dead_letter(RECORD, failure(ValueError("\ud800" * 5_000)), NOW).headers)
    assert len(headers["wundr_last_error"]) == LONGEST_ERROR


def test_a_long_error_text_is_cut_by_bytes_and_between_characters() -> None:
    headers = dict(dead_letter(RECORD, failure(ValueError("€" * 5_000)), NOW).headers)
    kept = headers["wundr_last_error"]
    assert LONGEST_ERROR - 3 < len(kept) <= LONGEST_ERROR
    assert kept.decode() == "ValueError: " + "€" * ((LONGEST_ERROR - 12) // 3)
