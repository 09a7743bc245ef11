"""Data survive the way to JSON and back; what is of another form is left for the check."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from schemas.errors import InvalidEventData
from schemas.json_data import from_json, to_json
from schemas.validation import compile_check

INNER = {
    "type": "record",
    "name": "Line",
    "fields": [
        {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9}},
        {"name": "next", "type": ["null", "Line"], "default": None},
    ],
}
RECORD: dict[str, Any] = {
    "type": "record",
    "name": "Order",
    "fields": [
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "exact", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "day", "type": ["null", {"type": "int", "logicalType": "date"}]},
        {"name": "hour", "type": {"type": "int", "logicalType": "time-millis"}},
        {"name": "id", "type": {"type": "string", "logicalType": "uuid"}},
        {"name": "photo", "type": "bytes"},
        {"name": "digest", "type": {"type": "fixed", "name": "Digest", "size": 2}},
        {"name": "lines", "type": {"type": "array", "items": INNER}},
        {"name": "files", "type": {"type": "map", "values": "bytes"}},
        {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["a"]}},
        {"name": "count", "type": "int"},
    ],
}
DATA = {
    "at": datetime(2026, 1, 2, 3, 4, 5, 6000, UTC),
    "exact": datetime(2026, 1, 2, 3, 4, 5, 6007, UTC),
    "day": date(2026, 1, 2),
    "hour": time(3, 4),
    "id": UUID(int=7),
    "photo": b"\x00\xff",
    "digest": b"ab",
    "lines": [{"price": Decimal("1.20"), "next": {"price": Decimal(3), "next": None}}],
    "files": {"x": b"y"},
    "kind": "a",
    "count": 1,
}


def test_data_come_back_from_json_as_they_were() -> None:
    text = json.dumps(to_json(DATA))
    assert from_json(RECORD, json.loads(text)) == DATA
    assert compile_check(RECORD)(from_json(RECORD, json.loads(text))) == DATA


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("at", "yesterday"),
        ("at", "2026-01-02T03:04:05"),
        ("day", 5),
        ("id", "7"),
        ("photo", "no base64!"),
        ("lines", {"price": "1"}),
        ("files", ["x"]),
        ("count", "1"),
        ("colour", "red"),
    ],
)
def test_what_does_not_fit_is_named_by_the_check(field: str, value: Any) -> None:
    data = from_json(RECORD, to_json(DATA) | {field: value})
    with pytest.raises(InvalidEventData, match=f"data.{field}"):
        compile_check(RECORD)(data)
