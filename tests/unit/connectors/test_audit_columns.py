"""Every column that follows from the bytes is held against them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from connectors.audit import Kind
from connectors.audit_columns import NOT_COMPARED, compare_columns
from connectors.event_row import EventRow
from schemas.envelope import Aggregate, Metadata
from schemas.event import Event
from streams.appending import COMMAND_ID
from tests.unit.connectors.test_event_row import CODEC, NOW, processed, row_of

COMPARED = [name for name in EventRow._fields if name not in NOT_COMPARED]


def row() -> EventRow:
    """A row with something in each column."""
    event = processed(
        causation_id="e-0",
        correlation_id="run-7",
        metadata=Metadata(user_id="ada", trace_id="t1", extra={COMMAND_ID: "c1"}),
    )
    aggregate = Aggregate("SourceFile", "f", 7)
    return row_of(Event(event.envelope._replace(aggregate=aggregate), event.data))


def another(value: Any) -> Any:
    match value:
        case int():
            return value + 1
        case str():
            return f"{value}?"
    return NOW + timedelta(milliseconds=1)


@pytest.mark.parametrize("column", COMPARED)
@pytest.mark.parametrize("is_lost", [False, True])
def test_a_column_that_is_not_what_the_bytes_say_is_named(column: str, is_lost: bool) -> None:
    right = row()
    assert getattr(right, column) is not None
    changed: Any = {column: None if is_lost else another(getattr(right, column))}
    wrong = right._replace(**changed)
    compared = compare_columns(CODEC, [right, wrong, right])
    assert compared.rows == 3
    [anomaly] = compared.anomalies
    assert (anomaly.kind, anomaly.subject) == (Kind.COLUMN, wrong.event_id)
    assert anomaly.detail == f"{column}: not what the bytes say"


def test_data_and_bytes_are_left_to_others() -> None:
    """The comparison of digests finds bytes that have changed; JSON may be switched off."""
    assert compare_columns(CODEC, [row()._replace(data=None)]).anomalies == ()
    compared = compare_columns(CODEC, [row()._replace(framed=b"no event")])
    assert (compared.rows, compared.anomalies) == (0, ())
