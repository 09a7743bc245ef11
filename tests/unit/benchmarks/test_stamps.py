"""A stamped record is an event like any other: our codec reads what was stamped."""

from __future__ import annotations

import pytest

from benchmarks.contract import event_sum
from benchmarks.repositories import EVENT_TYPE, files_of, repository_id
from benchmarks.stamps import Stamp, repositories_stamp, runs_stamp
from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.headers import CE_ID, CE_TYPE

CATALOG = Catalog.load()
CODEC = Codec(CATALOG)


@pytest.mark.parametrize("number", [0, 1, 15, 16, 4_000_000])
def test_a_stamped_repository_event_says_what_was_stamped(number: int) -> None:
    stamp = repositories_stamp(CATALOG)
    record = stamp.record(number, aggregate=number % 7, due_ns=123_456_789)
    event = CODEC.view(record.value)
    repository = repository_id(number % 7)
    assert event.aggregate is not None
    assert (event.type, event.topic) == (EVENT_TYPE, stamp.topic)
    assert (event.aggregate.id, event.data.repository) == (repository, repository)
    assert (event.data.files, int(event.correlation_id or "")) == (files_of(number), 123_456_789)
    assert record.key == event.key.encode()
    headers = dict(record.headers)
    assert (headers[CE_ID], headers[CE_TYPE]) == (event.id.encode(), event.type.encode())
    assert stamp.adds(number, number % 7) == event_sum(event.type, repository, event.data.files)


def test_a_stamped_run_is_critical_and_keyed_by_its_id() -> None:
    stamp = runs_stamp(CATALOG)
    record = stamp.record(3, due_ns=42)
    event = CODEC.view(record.value)
    assert (event.priority.label, event.aggregate) == ("critical", None)
    assert record.key == event.id.encode()
    assert int(event.correlation_id or "") == 42
    assert stamp.adds(3) == event_sum(event.type, "", event.data.files)


@pytest.mark.parametrize("stamp", [repositories_stamp(CATALOG), runs_stamp(CATALOG)])
def test_no_two_numbers_are_one_event(stamp: Stamp) -> None:
    assert len({CODEC.view(stamp.record(number).value).id for number in range(100)}) == 100
