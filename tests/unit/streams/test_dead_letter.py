"""Dead letters keep the bytes and say why."""

from __future__ import annotations

from datetime import UTC, datetime

from schemas.errors import TruncatedEvent
from schemas.topics import LARGEST_COPY, LARGEST_RECORD
from streams.dead_letter import Failure, dead_letter
from streams.parking.letter import LONGEST_ERROR
from streams.records import OutgoingRecord, RawRecord

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
    assert (letter.topic, letter.value, letter.partition) == ("dlq.team", b"\x00\x01raw", 2)
    assert letter.key == b"team.main/notify/events.domain.low/2/41"
    assert dict(letter.headers)["wundr_key"] == b"Analysis/a1"
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


def size(letter: OutgoingRecord) -> int:
    headers = sum(len(name) + len(value) for name, value in letter.headers)
    return len(letter.key or b"") + len(letter.value or b"") + headers


def test_a_record_at_the_limit_is_kept_whole() -> None:
    largest = RECORD._replace(headers=(), value=b"v" * (LARGEST_RECORD - len(RECORD.key or b"")))
    letter = dead_letter(largest, failure(ValueError("no")), NOW)
    assert letter.value == largest.value
    assert "wundr_whole_bytes" not in dict(letter.headers)


def test_a_record_that_no_topic_takes_is_kept_in_part_and_says_so() -> None:
    unpacked = RECORD._replace(value=b"v" * 5_000_000)
    letter = dead_letter(unpacked, failure(ValueError("no")), NOW)
    assert LARGEST_RECORD - 100 < len(letter.value or b"") < LARGEST_RECORD
    assert size(letter) < LARGEST_COPY
    assert dict(letter.headers)["wundr_whole_bytes"] == b"5000000"
    assert letter.headers[:2] == RECORD.headers


def test_headers_that_no_topic_takes_are_left_out() -> None:
    unpacked = RECORD._replace(key=b"k" * 2_000_000, headers=(("x", b"h" * 2_000_000),))
    letter = dead_letter(unpacked, failure(ValueError("no")), NOW)
    assert size(letter) < 10_000
    assert dict(letter.headers)["wundr_origin"] == b"events.domain.low/2/41"
    assert dict(letter.headers)["wundr_whole_bytes"] == str(len(RECORD.value or b"")).encode()
