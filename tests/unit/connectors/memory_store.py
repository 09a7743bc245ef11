"""An AuditedStore in process."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from connectors.audit_comparison import Placed, Stored
from connectors.audit_ports import StoredRow
from connectors.event_row import EventRow


@dataclass
class MemoryAuditedStore:
    """What a database would hold."""

    rows: list[Stored] = field(default_factory=list)
    positions: list[Placed] = field(default_factory=list)
    outbox: list[str] = field(default_factory=list)
    sample: list[EventRow] = field(default_factory=list)
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

    async def stored(self) -> AsyncIterator[Sequence[StoredRow]]:
        known = {row.event_id: row[1:] for row in self.store.rows}
        nowhere: tuple[None, None, None] = (None, None, None)
        yield [
            (it.event_id, *known.get(it.event_id, nowhere), it.partition, it.offset)
            for it in self.store.positions
        ]

    async def sampled(self) -> AsyncIterator[Sequence[EventRow]]:
        yield list(self.store.sample)

    async def outbox_ids(self) -> AsyncIterator[Sequence[str]]:
        yield list(self.store.outbox)
