"""A type whose data changed their shape twice, for the tests of this folder and of the flow.

At first an order names its price in whole euros, later with the cents beside it; the second major
has one total, the third says of which currency it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from schemas.catalog import Catalog
from schemas.event import Event, EventFactory
from schemas.source import SourceSchema, read_source
from schemas.upcasts import Upcast, UpcastKey
from streams.projection import State
from tests.unit.schemas.schema_files import field, record

PLACED: Final = "order.placed"
NEWEST: Final = "3.0.0"
OLDER: Final = ("1.0.0", "1.1.0", "2.0.0")
VERSIONS: Final = (*OLDER, NEWEST)


def to_total(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """From major 1 to 2."""
    rest = {name: value for name, value in data.items() if name not in {"euros", "cents"}}
    return {**rest, "total": 100 * data["euros"] + data["cents"]}


def to_currency(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """From major 2 to 3."""
    return {**data, "currency": "EUR"}


ORDER_UPCASTS: Final[Mapping[UpcastKey, Upcast]] = MappingProxyType(
    {(PLACED, 1): to_total, (PLACED, 2): to_currency}
)


def order_majors(upcasts: Mapping[UpcastKey, Upcast] = ORDER_UPCASTS, **wundr: Any) -> Catalog:
    """A catalog of the one type in its three majors, with what is changed of its attributes."""
    total = field("total", "long")
    versions = {
        "1.0.0": ("OrderPlaced", [field("euros", "long")]),
        "1.1.0": ("OrderPlaced", [field("euros", "long"), field("cents", "long", default=0)]),
        "2.0.0": ("OrderPlacedInCents", [total]),
        NEWEST: ("OrderPlacedInCurrency", [total, field("currency", "string")]),
    }
    return Catalog(
        [_source(version, name, fields, wundr) for version, (name, fields) in versions.items()],
        upcasts,
    )


def _source(version: str, name: str, fields: list[Any], wundr: Mapping[str, Any]) -> SourceSchema:
    ids = [field("orderId", "string"), field("projectId", "string")]
    attributes = {"personal": [], "subject": None, **wundr}
    schema = record(name=name, fields=[*ids, *fields], wundr=attributes)
    return read_source(f"domain/{PLACED}/{version}.avsc", schema)


def project_of(event: Event[Any]) -> str:
    """The key of a projection of orders."""
    return str(event.data["projectId"])


def turnover(state: State, event: Event[Any]) -> State:
    """The fold of a projection that only the newest version can be folded by."""
    currency = event.data["currency"]
    return {currency: state.get(currency, 0) + event.data["total"]}


def placed(catalog: Catalog, number: int, version: str, **details: Any) -> Event[Any]:
    """The order with this number, worth the same whatever version says it."""
    euros, cents = 3 + number, 50 if version != "1.0.0" else 0
    told: dict[str, dict[str, Any]] = {
        "1.0.0": {"euros": euros},
        "1.1.0": {"euros": euros, "cents": cents},
        "2.0.0": {"total": 100 * euros + cents},
        NEWEST: {"total": 100 * euros + cents, "currency": "EUR"},
    }
    data = {"orderId": f"o{number % 7}", "projectId": f"p{number % 3}", **told[version]}
    return EventFactory(catalog, "tests").create_from_mapping(
        PLACED, data, version=version, **details
    )


def newest(catalog: Catalog, event: Event[Any]) -> Event[Any]:
    """The same event as a producer of the newest version would have written it."""
    data = dict(event.payload)
    if event.version.startswith("1."):
        data = dict(to_total({"cents": 0, **data}))
    return Event(event.envelope._replace(version=NEWEST), {**data, "currency": "EUR"})
