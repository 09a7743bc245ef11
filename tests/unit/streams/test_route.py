"""What a broadcast says of its event beside the body: which frames a later one says anew."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.envelope import Priority
from schemas.event import Event
from schemas.headers import AGGREGATE, COMPRESSIBLE, event_headers
from streams.platform.route import routed
from streams.records import OutgoingRecord, RawRecord
from tests.unit.streams.compressible import PLACED, PROGRESSED, Orders, type_of

SHOWN = {"rules": ["project"], "fields": ["step"]}
CATALOG = Catalog(
    [
        type_of(PROGRESSED, broadcast=SHOWN | {"compressible": True}),
        type_of(PLACED, broadcast=SHOWN),
        type_of("order.noted", broadcast=SHOWN, aggregate=None, key=None),
    ]
)


@pytest.fixture
def orders() -> Orders:
    return Orders(CATALOG)


def route(event: Event[Any], *more: tuple[str, bytes]) -> OutgoingRecord:
    record = RawRecord(
        topic=event.topic,
        partition=0,
        offset=1,
        timestamp_ms=0,
        key=event.key.encode(),
        value=Codec(CATALOG).encode(event),
        headers=(*event_headers(event), *more),
    )
    (shown,) = routed(record, event, CATALOG.get(event.type))
    return shown


def test_an_event_of_a_type_that_is_declared_compressible_may_be_left_out(orders: Orders) -> None:
    headers = dict(route(orders.progressed()).headers)
    assert (headers[AGGREGATE], headers[COMPRESSIBLE]) == (b"Order/o1", b"1")


def test_events_that_count_name_their_aggregate_and_may_not_be_left_out(orders: Orders) -> None:
    plain = orders.progressed()
    assert plain.aggregate is not None
    critical = Event(plain.envelope._replace(priority=Priority.CRITICAL), plain.data)
    versioned = Event(
        plain.envelope._replace(aggregate=plain.aggregate._replace(version=1)), plain.data
    )
    for event in (orders.placed(), critical, versioned):
        headers = dict(route(event).headers)
        assert headers[AGGREGATE] == b"Order/o1"
        assert COMPRESSIBLE not in headers


def test_an_event_about_no_aggregate_says_so(orders: Orders) -> None:
    assert dict(route(orders.event("order.noted")).headers)[AGGREGATE] == b""


def test_a_producer_cannot_make_its_events_compressible_by_a_header(orders: Orders) -> None:
    headers = route(orders.placed(), (COMPRESSIBLE, b"1"), (AGGREGATE, b"Order/o2")).headers
    assert [value for name, value in headers if name == AGGREGATE] == [b"Order/o1"]
    assert COMPRESSIBLE not in dict(headers)
