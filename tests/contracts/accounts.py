"""An appended aggregate type for tests: accounts, which are opened and credited."""

from __future__ import annotations

from typing import Any

from schemas.catalog import PACKAGED, Catalog
from schemas.event import Event, EventFactory, Metadata
from schemas.source import SourceSchema, read_source, read_sources

_ATTRIBUTES = {
    "priority": "high",
    "aggregate": "Account",
    "key": "accountId",
    "owner": "bank",
    "personal": [],
    "appended": True,
}


def _source(event_type: str, name: str, fields: dict[str, Any]) -> SourceSchema:
    return read_source(
        f"domain/{event_type}/1.0.0.avsc",
        {
            "type": "record",
            "name": name,
            "namespace": "wundr.domain",
            "doc": name,
            "wundr": _ATTRIBUTES,
            "fields": [
                {"name": field, "type": kind, "doc": field} for field, kind in fields.items()
            ],
        },
    )


CATALOG = Catalog(
    [
        *read_sources(PACKAGED)[0],
        _source("account.opened", "AccountOpened", {"accountId": "string", "owner": "string"}),
        _source(
            "account.credited",
            "AccountCredited",
            {"accountId": "string", "cents": "long", "rate": "double", "note": "string"},
        ),
    ]
)
FACTORY = EventFactory(CATALOG, source="tests")


def opened(account: str, **details: Any) -> Event[Any]:
    """A new account."""
    data = {"accountId": account, "owner": "Ada"}
    return FACTORY.create_from_mapping("account.opened", data, **details)


def credited(
    account: str, cents: int = 1, *, note: str = "", rate: float = 1.0, **details: Any
) -> Event[Any]:
    """Money for an account."""
    data = {"accountId": account, "cents": cents, "rate": rate, "note": note}
    return FACTORY.create_from_mapping("account.credited", data, **details)


def published() -> Event[Any]:
    """An event of a type that has no versions."""
    data = {"process": "tests", "host": "local", "pid": 1}
    return FACTORY.create_from_mapping("system.worker.started", data)


def with_extra(**extra: str) -> Metadata:
    """Metadata with these entries."""
    return Metadata(extra=extra)


def versions(events: list[Event[Any]] | tuple[Event[Any], ...]) -> list[int | None]:
    """The versions of events, in their order."""
    return [event.aggregate.version if event.aggregate else None for event in events]
