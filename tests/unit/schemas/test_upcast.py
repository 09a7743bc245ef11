import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from schemas.catalog import PACKAGED, Catalog
from schemas.codec import Codec
from schemas.errors import UpcastFailed
from schemas.event import Event, EventFactory
from schemas.key_ring import MemoryKeyRing
from schemas.source import read_sources
from schemas.upcast import UPCASTS, Upcasting, upcast_faults
from tests.unit.schemas.schema_files import field, record, source

PLACED = "order.placed"
KEYS = MemoryKeyRing()


def orders(tmp_path: Path) -> Catalog:
    """An order that names its buyer, then its customer, then a customer with a country."""
    customer = [field("customer", "string")]
    versions = {
        "1.0.0": record(),
        "1.1.0": record(more=[field("note", "string", default="")]),
        "2.0.0": record(name="OrderPlacedBy", more=customer),
        "3.0.0": record(name="OrderPlacedIn", more=[*customer, field("country", "string")]),
    }
    folder = tmp_path / "avro" / "domain" / PLACED
    folder.mkdir(parents=True)
    for version, content in versions.items():
        (folder / f"{version}.avsc").write_text(json.dumps(content))
    return Catalog.load(tmp_path / "avro")


def name_customer(data: Mapping[str, Any]) -> Mapping[str, Any]:
    rest = {name: value for name, value in data.items() if name != "note"}
    return {**rest, "customer": data["buyer"] + data["note"]}


def add_country(data: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**data, "country": "?"}


def read_back(catalog: Catalog, version: str, **more: Any) -> Event[Any]:
    factory = EventFactory(catalog, "tests")
    data = {"orderId": "o", "projectId": "p", "buyer": "Ada", **more}
    codec = Codec(catalog, keys=KEYS)
    event = factory.create_from_mapping(PLACED, data, version=version, aggregate_id="o")
    return codec.view(codec.encode(event))


def test_an_upcast_reads_every_version_of_its_major_and_chains_to_the_latest(
    tmp_path: Path,
) -> None:
    catalog = orders(tmp_path)
    upcasting = Upcasting(catalog, {(PLACED, 1): name_customer, (PLACED, 2): add_country})
    event = read_back(catalog, "1.0.0")
    lifted = upcasting.lift(event)
    assert lifted.version == "3.0.0"
    assert lifted.payload == {
        "orderId": "o",
        "projectId": "p",
        "buyer": "Ada",
        "customer": "Ada",
        "country": "?",
    }
    assert lifted.envelope == event.envelope._replace(version="3.0.0")
    assert event.version == "1.0.0"


def test_an_event_of_the_latest_major_and_an_unknown_one_stay_as_they_are(tmp_path: Path) -> None:
    catalog = orders(tmp_path)
    upcasting = Upcasting(catalog, {(PLACED, 1): name_customer, (PLACED, 2): add_country})
    newest = read_back(catalog, "3.0.0", customer="Ada", country="UK")
    assert upcasting.lift(newest) is newest
    assert Upcasting(Catalog.load()).lift(newest) is newest


def test_a_lifted_event_is_encoded_in_its_new_major(tmp_path: Path) -> None:
    catalog = orders(tmp_path)
    upcasting = Upcasting(catalog, {(PLACED, 1): name_customer, (PLACED, 2): add_country})
    codec = Codec(catalog, keys=KEYS)
    assert codec.view(codec.encode(upcasting.lift(read_back(catalog, "1.1.0", note="!")))).payload[
        "customer"
    ] == ("Ada!")


@pytest.mark.parametrize(
    "broken",
    [lambda data: {**data, "surprise": 1}, lambda data: {"orderId": data["absent"]}],
    ids=["data that no schema has", "a field that is not there"],
)
def test_an_upcast_that_gives_something_else_is_named(tmp_path: Path, broken: Any) -> None:
    catalog = orders(tmp_path)
    upcasting = Upcasting(catalog, {(PLACED, 1): broken, (PLACED, 2): add_country})
    with pytest.raises(UpcastFailed, match=r"order\.placed 1\.0\.0 cannot be read as 2\.0\.0"):
        upcasting.lift(read_back(catalog, "1.0.0"))


def test_a_new_major_without_an_upcast_is_a_fault_and_so_is_an_upcast_to_nowhere() -> None:
    sources = [source(), source("2.0.0", name="OrderPlacedBy")]
    [missing] = upcast_faults(sources, {})
    assert "nothing reads events of major 1 as major 2" in missing.problem
    assert upcast_faults(sources, {(PLACED, 1): name_customer}) == []
    [astray] = upcast_faults([source()], {(PLACED, 1): name_customer})
    assert "leads nowhere" in astray.problem
    [unknown] = upcast_faults([source()], {("order.sent", 1): name_customer})
    assert "order.sent" in unknown.problem


def test_the_packaged_upcasts_are_those_that_the_schema_files_need() -> None:
    sources, _ = read_sources(PACKAGED)
    assert upcast_faults(sources, UPCASTS) == []
