"""Ports to an ordered log: Kafka in production, memory in tests and small services."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Protocol

from streams.receipt import Receipt
from streams.records import OutgoingRecord, RawRecord, TopicPartition


class RecordSender(Protocol):
    """Sends records at least once and in order per partition."""

    async def send(self, record: OutgoingRecord) -> Receipt:
        """Put the record in a bounded buffer (waits while it is full); the receipt is the promise.

        Raises BrokerUnavailable when no broker can be reached within the bounded wait.
        """
        ...

    async def flush(self) -> None:
        """Return when every record sent so far is acknowledged or has failed."""
        ...

    async def close(self) -> None:
        """Flush, then let go of the connection."""
        ...


class RecordReader(Protocol):
    """Reads partitions without a group: positions are the caller's."""

    async def start(self) -> None:
        """Connect. Raises BrokerUnavailable."""
        ...

    async def partitions(self) -> tuple[TopicPartition, ...]:
        """All partitions of the reader's topics."""
        ...

    async def beginning(self) -> Mapping[TopicPartition, int]:
        """The first offset still kept, per partition."""
        ...

    async def end(self) -> Mapping[TopicPartition, int]:
        """The offset that the next record will get, per partition."""
        ...

    async def offsets_at(self, timestamp_ms: int) -> Mapping[TopicPartition, int]:
        """The first offset at or after a time; the end where there is none."""
        ...

    def seek(self, position: TopicPartition, offset: int) -> None:
        """Read this partition from `offset` next."""
        ...

    async def read(
        self, max_records: int = 500, timeout_s: float = 1.0
    ) -> Mapping[TopicPartition, list[RawRecord]]:
        """The next records, in order per partition; empty after `timeout_s` without any."""
        ...

    async def close(self) -> None:
        """Let go of the connection."""
        ...


class PartitionFetcher(Protocol):
    """Reads given partitions in order, without a consumer group."""

    async def start(self, starts: Mapping[TopicPartition, int]) -> None:
        """Connect and begin at these offsets; once. Raises BrokerUnavailable."""
        ...

    async def fetch(
        self, sources: Collection[TopicPartition], max_records: int, timeout_s: float
    ) -> Mapping[TopicPartition, Sequence[RawRecord]]:
        """The next records of these partitions; empty after `timeout_s` without any.

        Holes in the offsets are the log's own: nothing is left out. The others wait.
        """
        ...

    async def ends(self, sources: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        """The offset that the next record will get, per partition."""
        ...

    def known_ends(self) -> Mapping[TopicPartition, int]:
        """`ends` of its own partitions as the last fetches have told them; asks nobody.

        Those are left out that were not fetched yet.
        """
        ...

    async def position(self, source: TopicPartition) -> int:
        """The next offset to be read, past what compaction has removed."""
        ...

    async def close(self) -> None:
        """Let go of the connection."""
        ...


class AssignmentListener(Protocol):
    """Told when a group gives or takes partitions."""

    async def revoked(self, partitions: Iterable[TopicPartition]) -> None:
        """These partitions go to another member once this returns."""
        ...

    async def assigned(self, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        """These partitions are now ours.

        Returns offsets to start from where not the committed ones.
        """
        ...


class GroupReader(Protocol):
    """Reads the partitions that a consumer group assigns; commits only what it is told."""

    async def start(self) -> None:
        """Join the group. Raises BrokerUnavailable."""
        ...

    async def read(
        self, max_records: int = 500, timeout_s: float = 1.0, *, shares: int = 1
    ) -> Mapping[TopicPartition, list[RawRecord]]:
        """The next records, in order per partition; empty after `timeout_s` without any.

        With several `shares`, so many from each of as many groups of partitions: those who work on
        partitions side by side all get some, wherever most of the records are.
        """
        ...

    async def positions(self) -> Mapping[TopicPartition, int]:
        """The next offset to read, of each partition that is ours."""
        ...

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Record the next offsets of the group.

        Raises BrokerUnavailable; a refused commit raises too.
        """
        ...

    def known_ends(self) -> Mapping[TopicPartition, int]:
        """The ends of the assigned partitions, as the last fetches have told them; asks nobody."""
        ...

    async def close(self) -> None:
        """Leave the group."""
        ...
