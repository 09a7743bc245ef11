"""The history that projections and replays read: stored events by partition and offset.

A partition of the store is filled in order by one sink at a time, in transactions that also move
its end: so everything below an end is there, and a reader that goes by offsets skips nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from schemas.event import Event
from streams.folding import StoredEvent


class Span(NamedTuple):
    """A range of offsets of one partition: from `start` on, below `until`."""

    partition: int
    start: int
    until: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which events of a range are read: by pattern of their types, and by their own time."""

    patterns: tuple[str, ...]
    since: datetime | None = None
    until: datetime | None = None


class History(Protocol):
    """Reads what the event store holds, without anybody's consumer group."""

    async def ends(self) -> Mapping[int, int]:
        """Up to where each partition is stored. Raises DatabaseUnavailable."""
        ...

    async def page(self, spans: Sequence[Span], wanted: Wanted) -> Sequence[StoredEvent]:
        """The wanted events of some ranges, in order per partition, each at its first place only.

        Raises DatabaseUnavailable, and UnknownSchemaId where nobody has announced a schema.
        """
        ...

    async def after_gap(self, partition: int, start: int) -> int | None:
        """The next stored offset of a partition, from `start` on; None when there is none."""
        ...

    async def of_aggregate(
        self, aggregate_type: str, aggregate_id: str, until: datetime | None
    ) -> Sequence[Event[Any]]:
        """All events of one aggregate up to a time, in order."""
        ...

    async def stored(self, event_ids: Sequence[str]) -> dict[str, Event[Any]]:
        """Those of some events that are stored, by id."""
        ...
