"""A type with personal fields of both kinds, for the tests of this folder and of the flow."""

from collections.abc import Mapping
from typing import Any

from schemas.catalog import Catalog
from schemas.event import Event, EventFactory
from schemas.source import read_source
from tests.unit.schemas.schema_files import field, record

ORDERED = "order.placed"
FIELDS = [
    field("orderId", "string"),
    field("projectId", "string"),
    field("buyerId", "string"),
    field("name", ["null", "string"], default=None),
    field("photo", ["null", "bytes"], default=None),
]
WUNDR = {"personal": ["name", "photo"], "subject": "buyerId"}


def order_catalog(**wundr: Any) -> Catalog:
    """A catalog of the one type, with what is changed of its attributes."""
    schema = record(fields=FIELDS, wundr=WUNDR | wundr)
    return Catalog([read_source(f"domain/{ORDERED}/1.0.0.avsc", schema)])


def order(catalog: Catalog, **data: Any) -> Event[Any]:
    """Somebody's order; of Ada's when nothing else is said."""
    return EventFactory(catalog, "tests").create_from_mapping(ORDERED, order_data(**data))


def order_data(**data: Any) -> Mapping[str, Any]:
    """The data of an order."""
    whole = {"orderId": "o1", "projectId": "p1", "buyerId": "ada", "name": "Ada", "photo": b"\x89"}
    return whole | data
