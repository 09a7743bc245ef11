"""What the store sink needs of a database: claim partitions, then store batches in order.

Rows, positions and offsets change together or not at all; a claim that was taken over is refused.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from connectors.event_row import EventRow


class Claim(NamedTuple):
    """The right to advance one partition: from `next`, as the owner with this epoch."""

    next: int
    epoch: int


class Position(NamedTuple):
    """A place in `store.events`; with the topic id of the batch it is a cursor."""

    partition: int
    offset: int


class PlacedRow(NamedTuple):
    """A row and where it was read. A tuple, because one is made for each event."""

    position: Position
    row: EventRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Rows to store and how far each partition advances by it."""

    rows: Sequence[PlacedRow]
    claims: Mapping[int, Claim]
    next: Mapping[int, int]


class Stored(NamedTuple):
    """What a batch changed."""

    new: int
    repeated: int


class SinkTarget(Protocol):
    """A database that keeps events and the sink's own offsets in one transaction."""

    async def claim(self, topic_id: str, partitions: Iterable[int]) -> Mapping[int, Claim]:
        """Take partitions over; refuses every later batch of their earlier owners.

        Raises ForeignCluster when the database was filled from another topic, DatabaseUnavailable.
        """
        ...

    async def store(self, topic_id: str, batch: Batch) -> Stored:
        """Store what is new and advance the offsets, in one transaction.

        Raises Fenced or VersionTaken (nothing is changed) and DatabaseUnavailable (the outcome may
        be unknown: the same batch again is either stored or Fenced, never stored twice).
        """
        ...
