"""What an audit reads: one moment of the database, the log, and what projections claim."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from connectors.event_row import EventRow
from streams.records import TopicPartition

StoredRow = tuple[str, str | None, str | None, int | None, int | None, int | None]
"""Event id, digest, aggregate, version, partition, offset: an event with one of its positions.

Without a digest it is a position without an event, without a partition an event without one.
"""


class StoreSnapshot(Protocol):
    """The event store in Postgres as it was at one moment."""

    @property
    def next_offsets(self) -> Mapping[int, int]:
        """How far the sink had come in each partition of `store.events`."""
        ...

    def stored(self) -> AsyncIterator[Sequence[StoredRow]]:
        """All events with all their positions, in no order, some rows at a time."""
        ...

    def sampled(self) -> AsyncIterator[Sequence[EventRow]]:
        """Whole events of some blocks of the table, others each time; all of a small table."""
        ...

    def outbox_ids(self) -> AsyncIterator[Sequence[str]]:
        """The ids of events that were appended and not relayed yet."""
        ...


class AuditedStore(Protocol):
    """A database that can be looked at as of one moment."""

    async def next_offsets(self) -> Mapping[int, int]:
        """How far the sink has come by now. Raises ForeignCluster, DatabaseUnavailable."""
        ...

    def snapshot(self) -> AbstractAsyncContextManager[StoreSnapshot]:
        """One moment, for as long as the block takes. Raises what `next_offsets` raises."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectionCheckpoint:
    """What a projection claims to hold.

    `positions` has the furthest offset that it has applied per source partition; `missing` counts
    the events that it has read and not applied, because the fold raised.
    """

    name: str
    positions: Mapping[TopicPartition, int]
    missing: int


class ProjectionCheckpoints(Protocol):
    """Projections of one kind, wherever they keep their checkpoints."""

    async def read(self) -> Sequence[ProjectionCheckpoint]:
        """What all of them claim by now."""
        ...
