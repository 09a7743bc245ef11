"""Letters and orders are read as they were written; what is neither says so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from streams.errors import NotALetter, NotAnOrder
from streams.parking.letter import EPOCH, Letter, LetterState, source_of
from streams.parking.orders import Order
from streams.records import RawRecord

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_a_letter_is_read_as_it_was_written() -> None:
    record = RawRecord(
        "events.domain.low", 2, 41, 1_700, b"k", b"\x00raw", (("ce_id", b"1"), ("x", b"y"))
    )
    letter = Letter(
        app="team",
        group="team.main",
        handler="a/b",
        record=record,
        state=LetterState.WAITING,
        tries=2,
        reason="ValueError",
        last_error="ValueError: no",
        failed_at=NOW,
        due_at=EPOCH + timedelta(milliseconds=1_234),
    )
    sent = letter.encode()
    kept = RawRecord(sent.topic, sent.partition or 0, 7, 9, sent.key, sent.value, sent.headers)
    assert Letter.decode(kept) == letter
    assert source_of(letter.id) == ("events.domain.low", 2, 41)


def test_what_is_no_letter_says_where_it_stands() -> None:
    with pytest.raises(NotALetter, match=r"dlq\.team/1/5"):
        Letter.decode(RawRecord("dlq.team", 1, 5, 0, b"k", b"v"))
    with pytest.raises(NotALetter):
        source_of("nonsense")


@pytest.mark.parametrize(
    ("key", "body"),
    [
        ("parking/team/g/h/t/0/1", {}),
        ("parking/team/g/h/t/0/1", {"order": "explode"}),
        ("parking/team/g/h/t/0/1", {"order": "edit"}),
        ("parking/team/g/h/t/0/1", {"order": "drop", "value": "AA=="}),
        ("parking/team/g/h/t/0/1", {"order": "edit", "value": "no base 64"}),
        ("parking/team/nonsense", {"order": "drop"}),
        ("parking/team", {"order": "drop"}),
    ],
)
def test_what_is_no_order_is_refused(key: str, body: dict[str, Any]) -> None:
    with pytest.raises(NotAnOrder):
        Order.decode(key, body)
