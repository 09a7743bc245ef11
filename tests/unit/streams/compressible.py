"""Types of one aggregate for tests of batches and compression: two that merge, one that counts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from schemas.catalog import Catalog
from schemas.event import Event, EventFactory, Metadata
from streams.compressor import EventCompressor, later_wins
from tests.unit.schemas.schema_files import field, source
from tests.unit.streams.bench import NOW

PROGRESSED, MOVED, PLACED = "order.progressed", "order.moved", "order.placed"
_NOT_PERSONAL: dict[str, Any] = {"personal": [], "subject": None}


def type_of(event_type: str, **wundr: Any) -> Any:
    """A type of the aggregate Order with a number and an optional note."""
    name = "".join(word.capitalize() for word in event_type.split("."))
    more = [
        field("step", "int", default=0),
        field("note", ["null", "string"], default=None),
    ]
    return source(event_type=event_type, name=name, more=more, wundr=_NOT_PERSONAL | wundr)


CATALOG = Catalog([type_of(PROGRESSED), type_of(MOVED), type_of(PLACED)])


class Orders:
    """Makes events of orders, one millisecond after the other, with ids `e0`, `e1`, ..."""

    def __init__(self, catalog: Catalog = CATALOG) -> None:
        self._numbers = count()
        self._factory = EventFactory(catalog, "shop", clock=lambda: NOW)

    def event(
        self, event_type: str, order: str = "o1", *, project: str = "p1", **details: Any
    ) -> Event[Any]:
        """An event; `step` and `note` are its data, what else is given is said of its envelope."""
        number = next(self._numbers)
        data: Mapping[str, Any] = {
            "orderId": order,
            "projectId": project,
            "buyer": details.pop("buyer", "b1"),
            "step": details.pop("step", number),
            "note": details.pop("note", None),
        }
        at: datetime = NOW + timedelta(milliseconds=number)
        given: dict[str, Any] = {
            "id": f"e{number}",
            "timestamp": at,
            "correlation_id": "c1",
        } | details
        return self._factory.create_from_mapping(event_type, data, **given)

    def progressed(self, order: str = "o1", **details: Any) -> Event[Any]:
        """A compressible event."""
        return self.event(PROGRESSED, order, **details)

    def moved(self, order: str = "o1", **details: Any) -> Event[Any]:
        """A compressible event of another type."""
        return self.event(MOVED, order, **details)

    def placed(self, order: str = "o1", **details: Any) -> Event[Any]:
        """An event that counts."""
        return self.event(PLACED, order, **details)


def compressor(**merges: Any) -> EventCompressor:
    """Merges `order.progressed` and `order.moved`: the later data win."""
    return EventCompressor(CATALOG, {PROGRESSED: later_wins, MOVED: later_wins} | merges)


def with_user(user_id: str) -> Metadata:
    """Metadata that name a user."""
    return Metadata(user_id=user_id)
