"""What a restore needs of a database: to begin or go on, to store batches, and to end."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from connectors.sink_target import Batch, Claim, Stored


class Remaining(NamedTuple):
    """What is still to be read of a partition: from the claim's `next` to below `until`."""

    claim: Claim
    until: int


class Restored(NamedTuple):
    """What a batch changed, and the projections (`app/name`) that had passed what was missing."""

    stored: Stored
    passed_by: frozenset[str] = frozenset()


class RestoreTarget(Protocol):
    """A database that keeps events and a restore's own progress in one transaction."""

    async def begin(self, topic_id: str, ends: Mapping[int, int]) -> Mapping[int, Remaining]:
        """Begin a restore up to these offsets, or go on with one that is not over, to its ends.

        Every later batch of an earlier process is refused. Raises OutboxNotEmpty or ForeignCluster
        (nothing is changed), DatabaseUnavailable.
        """
        ...

    async def store(self, topic_id: str, batch: Batch) -> Restored:
        """Store what is new and advance, in one transaction. Raises what SinkTarget's raises."""
        ...

    async def end(self, topic_id: str) -> None:
        """The restore is over: the sink goes on behind it."""
        ...
