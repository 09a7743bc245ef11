"""The outbox: appended events on their way to Kafka, in shards that are each sent in order."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple, Protocol

from schemas.headers import CE_ID, CE_TYPE, TRACEPARENT
from streams.partitioner import partition_of
from streams.records import OutgoingRecord

SHARDS: Final = 4
"""How many relays can work side by side. Stands in stored rows: another number is a migration."""


@lru_cache(maxsize=4096)
def shard_of(key: str) -> int:
    """The shard of an aggregate, told by the key of its records."""
    return partition_of(key.encode(), SHARDS)


class OutboxRow(NamedTuple):
    """An event that Kafka has not acknowledged. `position` orders the rows of its shard."""

    position: int
    id: str
    type: str
    payload: bytes
    topic: str
    key: str
    traceparent: str

    def record(self) -> OutgoingRecord:
        """The record, byte for byte what publish() would send."""
        return OutgoingRecord(
            topic=self.topic,
            key=self.key.encode(),
            value=self.payload,
            headers=(
                (CE_ID, self.id.encode()),
                (CE_TYPE, self.type.encode()),
                (TRACEPARENT, self.traceparent.encode()),
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Delay:
    """What keeps events in the outbox; ages in seconds, 0 for nothing.

    `oldest_s`: of the oldest row. `holder_s`: of the oldest transaction that has locked the outbox,
    with rows that it has not committed or against everybody. `horizon_s`: of the oldest transaction
    of the server, because of which dead rows stay.
    """

    oldest_s: float = 0.0
    holder_s: float = 0.0
    horizon_s: float = 0.0
    waiting: int = 0


class OwnedShard(Protocol):
    """A shard that this process may send. Every method raises DatabaseUnavailable.

    There is at most one owner whose deletions count: `remove` and `renew` raise ShardLost once
    somebody else has taken over.
    """

    @property
    def epoch(self) -> int:
        """Higher with each claim of the shard."""
        ...

    async def unsent(self, limit: int) -> Sequence[OutboxRow]:
        """The first rows of the shard in order; never a later version without the earlier ones."""
        ...

    async def remove(self, rows: Sequence[OutboxRow]) -> None:
        """Delete rows that Kafka has acknowledged."""
        ...

    async def renew(self) -> None:
        """Say that this owner is alive."""
        ...

    async def release(self) -> None:
        """Let somebody else take over at once."""
        ...


class Outbox(Protocol):
    """The way to the outbox."""

    async def claim(self, shard: int) -> OwnedShard | None:
        """Take a shard; None while another owner is alive. Raises DatabaseUnavailable."""
        ...

    async def schema(self, schema_id: int) -> str:
        """The composed writer schema of an appended event. Raises DatabaseUnavailable."""
        ...

    async def delay(self) -> Delay:
        """What keeps events in the outbox. Raises DatabaseUnavailable."""
        ...
