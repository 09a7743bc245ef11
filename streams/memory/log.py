"""A log in process: topics, partitions, offsets; nothing survives the process."""

import asyncio
import itertools
import time
from collections.abc import Callable, Sequence

from schemas.headers import CE_ID
from streams.errors import BrokerUnavailable, PartitionMismatch, TopicMissing
from streams.memory.coordinator import MemoryGroups
from streams.partitioner import partition_of
from streams.receipt import Acknowledgement, Receipt
from streams.records import OutgoingRecord, RawRecord, TopicPartition


def wall_clock_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


class MemoryLog:
    """What a broker is to Kafka's clients.

    Topics are made on demand unless `topics` declares all; `groups` outlive their members.
    """

    def __init__(
        self,
        partitions: int = 4,
        *,
        topics: Sequence[str] | None = None,
        clock_ms: Callable[[], int] = wall_clock_ms,
    ) -> None:
        self._partitions = partitions
        self._declared = topics
        self._clock_ms = clock_ms
        self._logs: dict[TopicPartition, list[RawRecord]] = {}
        self._keyless = itertools.count()
        self._arrival = asyncio.Event()
        self.groups = MemoryGroups()

    def append(self, record: OutgoingRecord) -> Acknowledgement:
        """Write a record at the end of its partition. Raises TopicMissing or PartitionMismatch."""
        source = self._place(record)
        records = self._logs.setdefault(source, [])
        records.append(
            RawRecord(
                topic=source.topic,
                partition=source.partition,
                offset=len(records),
                timestamp_ms=self._clock_ms(),
                key=record.key,
                value=record.value,
                headers=record.headers,
            )
        )
        self._arrival.set()
        self._arrival = asyncio.Event()
        return Acknowledgement(source.topic, source.partition, len(records) - 1)

    def partitions(self, topic: str) -> tuple[TopicPartition, ...]:
        """All partitions of a topic. Raises TopicMissing."""
        if self._declared is not None and topic not in self._declared:
            raise TopicMissing(f"topic {topic!r} does not exist")
        return tuple(TopicPartition(topic, number) for number in range(self._partitions))

    def records(self, source: TopicPartition, start: int = 0) -> Sequence[RawRecord]:
        """The records of a partition from an offset on."""
        return self._logs.get(source, [])[start:]

    def end(self, source: TopicPartition) -> int:
        """The offset that the next record will get."""
        return len(self._logs.get(source, ()))

    def topic(self, topic: str) -> list[RawRecord]:
        """All records of a topic, partition by partition."""
        return [record for source in self.partitions(topic) for record in self.records(source)]

    async def arrival(self, timeout_s: float) -> None:
        """Return when something is appended, or when the time is over."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._arrival.wait()
        except TimeoutError:
            return

    def _place(self, record: OutgoingRecord) -> TopicPartition:
        partitions = self.partitions(record.topic)
        if record.partition is not None:
            if record.partition not in range(len(partitions)):
                raise PartitionMismatch(f"{record.topic!r} has no partition {record.partition}")
            return partitions[record.partition]
        if record.key is None:
            return partitions[next(self._keyless) % len(partitions)]
        return partitions[partition_of(record.key, len(partitions))]


class MemorySender:
    """Implements RecordSender: every record is acknowledged at once."""

    def __init__(self, log: MemoryLog) -> None:
        self._log = log
        self._closed = False

    async def send(self, record: OutgoingRecord) -> Receipt:
        """Append the record. Raises BrokerUnavailable after close()."""
        if self._closed:
            raise BrokerUnavailable("the sender is closed")
        promise: asyncio.Future[Acknowledgement] = asyncio.get_running_loop().create_future()
        promise.set_result(self._log.append(record))
        ids = [value.decode(errors="replace") for name, value in record.headers if name == CE_ID]
        return Receipt(ids[0] if ids else f"{record.topic}:{record.key!r}", promise)

    async def flush(self) -> None:
        """Nothing is ever on its way."""

    async def close(self) -> None:
        """Take nothing more."""
        self._closed = True
