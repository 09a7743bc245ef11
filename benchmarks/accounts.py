"""An appended aggregate type for benches, with a class as `wundr schemas generate` would write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from benchmarks.append_run import NOTE
from schemas.catalog import PACKAGED, Catalog
from schemas.codec import Codec
from schemas.event import Event, EventFactory
from schemas.event_data import EventData
from schemas.source import read_source, read_sources

CREDITED = read_source(
    "domain/account.credited/1.0.0.avsc",
    {
        "type": "record",
        "name": "AccountCredited",
        "namespace": "wundr.domain",
        "doc": "Money came to an account.",
        "wundr": {
            "priority": "high",
            "aggregate": "Account",
            "key": "accountId",
            "owner": "bench",
            "personal": [],
            "appended": True,
        },
        "fields": [
            {"name": "accountId", "type": "string", "doc": "The account."},
            {"name": "cents", "type": "long", "doc": "How much."},
            {"name": "note", "type": "string", "doc": "What for."},
        ],
    },
)
CATALOG = Catalog([*read_sources(PACKAGED)[0], CREDITED])


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountCredited(EventData):
    """Money came to an account."""

    event_type: ClassVar[str] = "account.credited"
    schema_version: ClassVar[str] = "1.0.0"

    account_id: str
    cents: int
    note: str

    @classmethod
    def from_wire(cls, data: Mapping[str, Any]) -> Self:
        """See EventData."""
        return cls(account_id=data["accountId"], cents=data["cents"], note=data["note"])

    def to_wire(self) -> dict[str, Any]:
        """See EventData."""
        return {"accountId": self.account_id, "cents": self.cents, "note": self.note}


CODEC = Codec(CATALOG, data_types={("account.credited", "1.0.0"): AccountCredited})
FACTORY = EventFactory(CATALOG, source="bench")


def credited(account: str, cents: int) -> Event[AccountCredited]:
    """A new event."""
    return FACTORY.create(AccountCredited(account_id=account, cents=cents, note=NOTE))
