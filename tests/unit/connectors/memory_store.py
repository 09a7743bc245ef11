"""An AuditedStore in process."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from connectors.audit_comparison import Placed, Stored


@dataclass
class MemoryAuditedStore:
    """What a database would hold."""

    rows: list[Stored] = field(default_factory=list)
    positions: list[Placed] = field(default_factory=list)
    outbox: list[str] = field(default_factory=list)
    next_by_partition: dict[int, int] = field(default_factory=dict)

    async def next_offsets(self) -> dict[int, int]:
        return dict(self.next_by_partition)

    @asynccontextmanager
    async def snapshot(self) -> "AsyncIterator[MemorySnapshot]":
        yield MemorySnapshot(self, dict(self.next_by_partition))


@dataclass
class MemorySnapshot:
    """Implements StoreSnapshot."""

    store: MemoryAuditedStore
    next_offsets: dict[int, int]

    async def stored(self) -> AsyncIterator[Sequence[Stored]]:
        yield list(self.store.rows)

    async def placed(self) -> AsyncIterator[Sequence[Placed]]:
        yield list(self.store.positions)

    async def outbox_ids(self) -> AsyncIterator[Sequence[str]]:
        yield list(self.store.outbox)
