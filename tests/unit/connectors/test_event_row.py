import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.errors import Unstorable
from connectors.event_row import LONGEST_KEY_BYTES, EventRow, event_row, json_text
from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.envelope import Metadata
from schemas.event import Event, EventFactory
from schemas.framing import schema_id_of

NOW = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
PATH = "Lib/asyncio/queues.py"
DATA = {
    "analysisId": "asyncio",
    "projectId": "network",
    "path": PATH,
    "lines": 3,
    "functions": 2,
    "classes": 1,
    "error": None,
    "imports": 4,
    "complexity": None,
}
CODEC = Codec(Catalog.load())
FACTORY = EventFactory(Catalog.load(), source="tests")


def processed(**context: Any) -> Event[Any]:
    defaults: dict[str, Any] = {"aggregate_id": PATH, "timestamp": NOW}
    return FACTORY.create_from_mapping("analysis.file.processed", DATA, **defaults | context)


def row_of(event: Event[Any], *, with_json: bool = True) -> EventRow:
    framed = CODEC.encode(event)
    return event_row(CODEC.view(framed), framed, with_json=with_json)


def test_columns_come_from_the_envelope_and_the_bytes_stay_as_they_were() -> None:
    event = processed(
        id="e-1",
        correlation_id="run-7",
        causation_id="e-0",
        metadata=Metadata(user_id="ann", trace_id="t1"),
    )
    row = row_of(event)
    framed = CODEC.encode(event)
    assert row._replace(data=None) == EventRow(
        event_id="e-1",
        type="analysis.file.processed",
        category="domain",
        priority=3,
        schema_version="1.1.0",
        schema_id=schema_id_of(framed),
        timestamp=NOW,
        source="tests",
        correlation_id="run-7",
        causation_id="e-0",
        aggregate_type="SourceFile",
        aggregate_id=PATH,
        aggregate_version=None,
        user_id="ann",
        trace_id="t1",
        framed=framed,
        data=None,
    )
    assert json.loads(row.data or "") == DATA


def test_without_json_the_data_is_not_even_decoded() -> None:
    assert row_of(processed(), with_json=False).data is None


@pytest.mark.parametrize(
    ("context", "path"),
    [
        ({"id": "a\x00b"}, "id"),
        ({"aggregate_id": "x\x00"}, "aggregate.id"),
        ({"correlation_id": "\x00"}, "correlationId"),
        ({"correlation_id": "c" * (LONGEST_KEY_BYTES + 1)}, "correlationId"),
    ],
)
def test_a_key_that_no_index_can_hold_is_refused_by_name(
    context: dict[str, Any], path: str
) -> None:
    with pytest.raises(Unstorable, match=f"^{path} "):
        row_of(processed(**context))


def test_a_descriptive_column_shows_a_nul_as_a_replacement() -> None:
    assert row_of(processed(metadata=Metadata(user_id="a\x00b"))).user_id == "a\ufffdb"


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), "a\x00b", "half \ud83d", b"raw", {"in": ["\x00"]}]
)
def test_what_json_cannot_hold_gives_no_json(value: object) -> None:
    assert json_text({"field": value}) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1e308, 1e308),
        ("the text \\u0000 is no NUL", "the text \\u0000 is no NUL"),
        (Decimal("1.50"), "1.50"),
        (date(2026, 1, 2), "2026-01-02"),
        (NOW, "2026-01-02T03:04:05.678000+00:00"),
        ("ünï🙂", "ünï🙂"),
    ],
)
def test_everything_else_is_kept(value: object, expected: object) -> None:
    assert json.loads(json_text({"field": value}) or "null") == {"field": expected}


def test_data_that_is_nested_too_deep_gives_no_json() -> None:
    nest: Callable[[int], object] = lambda depth: [nest(depth - 1)] if depth else []  # noqa: E731
    assert json_text({"field": nest(50)}) is not None
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    assert json_text({"field": deep}) is None


@given(st.dictionaries(st.text(), st.text() | st.floats() | st.none() | st.integers()))
def test_json_text_is_faithful_or_absent(payload: dict[str, Any]) -> None:
    text = json_text(payload)
    if text is not None:
        text.encode()
        assert json.loads(text) == payload
        assert "\x00" not in str(payload)


def test_a_causation_that_no_index_can_hold_is_refused_by_its_name() -> None:
    with pytest.raises(Unstorable, match="causationId has 2700 bytes"):
        row_of(processed(causation_id="c" * 2_700))
