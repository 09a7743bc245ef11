"""Upcasts lead from major to major, when the data of an event are touched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import pytest

from schemas.catalog import PACKAGED, Catalog
from schemas.codec import Codec
from schemas.errors import TruncatedEvent, UpcastFailed
from schemas.event import Event
from schemas.event_data import EventData
from schemas.key_ring import MemoryKeyRing
from schemas.protection import ERASED
from schemas.source import read_sources
from schemas.upcast import upcast_faults
from schemas.upcasts import UPCASTS
from tests.unit.schemas.order_majors import (
    NEWEST,
    OLDER,
    ORDER_UPCASTS,
    PLACED,
    newest,
    order_majors,
    placed,
    to_currency,
    to_total,
)
from tests.unit.schemas.schema_files import source

CATALOG = order_majors()


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed(EventData):
    """The newest version, typed."""

    event_type: ClassVar[str] = PLACED
    schema_version: ClassVar[str] = NEWEST
    total: int
    currency: str

    @classmethod
    def from_wire(cls, data: Mapping[str, Any]) -> Self:
        return cls(total=data["total"], currency=data["currency"])

    def to_wire(self) -> dict[str, Any]:
        return {"total": self.total, "currency": self.currency}


def read(version: str, catalog: Catalog = CATALOG, *, upcasts: bool = True) -> Event[Any]:
    """An order that was written in a version."""
    framed = Codec(catalog).encode(placed(catalog, 0, version))
    return Codec(catalog, upcasts=upcasts).view(framed)


@pytest.mark.parametrize("version", [*OLDER, NEWEST])
def test_every_version_is_read_as_the_newest_would_have_been(version: str) -> None:
    written = placed(CATALOG, 0, version)
    framed = Codec(CATALOG).encode(written)
    seen = Codec(CATALOG, upcasts=True).view(framed)
    assert seen == newest(CATALOG, written)
    assert seen.data == seen.payload
    assert seen.framed == framed


def test_a_codec_that_is_not_asked_shows_what_was_written() -> None:
    assert read("1.0.0", upcasts=False).version == "1.0.0"
    assert read("1.0.0", upcasts=False).payload.keys() == {
        *("orderId", "projectId", "euros", "cents")
    }


def test_data_are_those_of_the_class_of_the_newest_version() -> None:
    codec = Codec(CATALOG, data_types={(PLACED, NEWEST): Placed}, upcasts=True)
    written = Codec(CATALOG).encode(placed(CATALOG, 0, "1.1.0"))
    assert codec.view(written).data == Placed(total=350, currency="EUR")


def test_a_gap_between_upcasts_ends_the_way_in_front_of_it() -> None:
    assert read("1.0.0", order_majors({(PLACED, 1): to_total})).version == "2.0.0"
    assert read("1.0.0", order_majors({(PLACED, 2): to_currency})).version == "1.0.0"


def test_an_upcast_gets_personal_fields_as_they_are_read() -> None:
    keys = MemoryKeyRing()
    catalog = order_majors(personal=["projectId"], subject="orderId")
    codec = Codec(catalog, keys=keys, upcasts=True)
    framed = codec.encode(placed(catalog, 0, "1.0.0"))
    assert codec.view(framed).payload["projectId"] == "p0"
    keys.forget("o0")
    assert codec.view(framed).payload["projectId"] == ERASED
    stored = codec.as_stored(codec.view(framed), framed)
    assert stored.version == "1.0.0"
    assert stored.payload["projectId"].startswith("wundr.1.")


@pytest.mark.parametrize(
    "broken",
    [lambda data: {**data, "surprise": 1}, lambda data: {"orderId": data["absent"]}],
    ids=["data that no schema has", "a field that is not there"],
)
def test_an_upcast_that_gives_something_else_is_named_when_the_data_are_touched(
    broken: Any,
) -> None:
    seen = read("1.0.0", order_majors({(PLACED, 1): broken, (PLACED, 2): to_currency}))
    assert seen.key == "Order/o0"
    with pytest.raises(UpcastFailed, match=r"order\.placed 1\.0\.0 cannot be read as 2\.0\.0"):
        _ = seen.data


def test_bytes_that_end_early_are_no_fault_of_the_upcast() -> None:
    framed = Codec(CATALOG).encode(placed(CATALOG, 0, "1.0.0"))
    with pytest.raises(TruncatedEvent):
        _ = Codec(CATALOG, upcasts=True).view(framed[:-1]).payload


def test_a_new_major_without_an_upcast_is_a_fault_and_so_is_an_upcast_to_nowhere() -> None:
    sources = [source(), source("2.0.0", name="OrderPlacedBy")]
    [missing] = upcast_faults(sources, {})
    assert "nothing reads events of major 1 as major 2" in missing.problem
    assert upcast_faults(sources, {(PLACED, 1): to_total}) == []
    [astray] = upcast_faults([source()], {(PLACED, 1): to_total})
    assert "leads nowhere" in astray.problem
    [unknown] = upcast_faults([source()], {("order.sent", 1): to_total})
    assert "order.sent" in unknown.problem


def test_the_packaged_upcasts_are_those_that_the_schema_files_need() -> None:
    sources, _ = read_sources(PACKAGED)
    assert upcast_faults(sources, UPCASTS) == []
    assert Catalog.load().upcasts is UPCASTS
    assert order_majors().upcasts is ORDER_UPCASTS
