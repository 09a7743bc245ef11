"""Packs records into batches, one line per partition.

The client has a coroutine, a future and several look-ups for each record that it is given; a batch
has them once.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache, partial
from typing import Any, Final, NamedTuple, Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaTimeoutError
from aiokafka.producer.message_accumulator import BatchBuilder

from streams.kafka.clients import BATCH_BYTES
from streams.kafka.unacknowledged import Pending
from streams.partitioner import partition_of
from streams.records import OutgoingEntries, OutgoingRecord

REMEMBERED_KEYS: Final = 65_536
"""For how many keys the partition is remembered."""

WHOLE_BYTES: Final = BATCH_BYTES // 2
"""Entries of more are sent one by one."""

ENTRY_BYTES: Final = 32
"""More than a record takes beside its key and value: lengths, place, time."""


class BatchTooSmall(RuntimeError):
    """A batch did not take what it was found to have room for: a defect of this module."""


class Deliveries(Protocol):
    """Told what has become of batches."""

    def delivered(self, batch: Sequence[Pending], topic: str, partition: int, offset: int) -> None:
        """The broker has the batch; its first record stands at `offset`."""
        ...

    def not_delivered(
        self, client: "Batching", batch: Sequence[Pending], error: BaseException
    ) -> None:
        """The client has failed, or the broker will never take this batch."""
        ...


class _Batch(NamedTuple):
    builder: Any
    records: list[Pending]


class Batching:
    """Gives one producer its records, in order per partition."""

    def __init__(self, producer: AIOKafkaProducer, linger_s: float, deliveries: Deliveries) -> None:
        """`linger_s`: how long a record may wait for others to share its request."""
        self.producer = producer
        self._linger_s = linger_s
        self._deliveries = deliveries
        self._partitions: dict[str, int] = {}
        self._lines: dict[tuple[str, int], _Line] = {}
        self._keyless = 0
        self._partition_of = lru_cache(REMEMBERED_KEYS)(partition_of)

    def learn(self, topic: str, partitions: int) -> None:
        """The topic has so many partitions."""
        self._partitions[topic] = partitions

    def takes(self, record: OutgoingRecord) -> bool:
        """Whether the record can be added: its topic and partition are known."""
        partitions = self._partitions.get(record.topic)
        return partitions is not None and (record.partition or 0) < partitions

    @staticmethod
    def takes_whole(entries: OutgoingEntries) -> bool:
        """Whether entries can be added as one: an empty batch has room for all of them."""
        return _size_of(entries) <= WHOLE_BYTES

    def add(self, pending: Pending) -> None:
        """Put the record at the end of its partition's line. When this raises, it is not there."""
        record = pending.record
        partition = record.partition
        if partition is None:
            partition = self._chosen(record.key, self._partitions[record.topic])
        source = (record.topic, partition)
        line = self._lines.get(source)
        if line is None:
            line = self._lines[source] = _Line(self, source, self._linger_s, self._deliveries)
        line.add(pending)
        pending.handed_over = True

    def stop(self) -> None:
        """Give nothing more to the producer."""
        for line in self._lines.values():
            line.stop()

    def _chosen(self, key: bytes | None, partitions: int) -> int:
        if key is not None:
            return self._partition_of(key, partitions)
        self._keyless = (self._keyless + 1) % partitions
        return self._keyless


class _Line:
    """The batches of one partition: one that is being filled, and those that are full."""

    def __init__(
        self,
        client: Batching,
        source: tuple[str, int],
        linger_s: float,
        deliveries: Deliveries,
    ) -> None:
        self._client = client
        self._producer = client.producer
        self._topic, self._partition = source
        self._linger_s = linger_s
        self._deliveries = deliveries
        self._filling: _Batch | None = None
        self._full: deque[_Batch] = deque()
        self._task: asyncio.Task[None] | None = None
        self._is_complete = asyncio.Event()

    def add(self, pending: Pending) -> None:
        try:
            batch = self._filled_with(pending)
        except BaseException:
            # It may hold some of the entries: places of what came behind them would be wrong.
            self._close()
            raise
        batch.records.append(pending)
        if pending.whole is not None and pending.whole.are_last:
            self._is_complete.set()
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"send {self._topic}")
            self._task.add_done_callback(self._ended)

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _filled_with(self, pending: Pending) -> _Batch:
        """The batch that is being filled, once it holds this."""
        if self._filling is None or not self._takes(self._filling, pending):
            self._close()
            self._filling = _Batch(self._producer.create_batch(), [])
            if not self._takes(self._filling, pending):
                raise BatchTooSmall("an empty batch does not take a record")
        return self._filling

    @staticmethod
    def _takes(batch: _Batch, pending: Pending) -> bool:
        """An empty batch takes any record, however large."""
        if pending.whole is not None:
            return _takes_whole(batch, pending.whole)
        record = pending.record
        return (
            batch.builder.append(
                timestamp=None, key=record.key, value=record.value, headers=list(record.headers)
            )
            is not None
        )

    def _close(self) -> None:
        if self._filling is not None:
            self._filling.builder.close()
            if self._filling.records:
                self._full.append(self._filling)
            self._filling = None

    async def _run(self) -> None:
        """Send until the line is empty; full batches at once, the last after a while."""
        try:
            while self._full or self._filling is not None:
                if not self._full:
                    await self._linger()
                    self._close()
                await self._send(self._full[0])
                self._full.popleft()
        finally:
            # At once: whoever adds a record from now on must start the line again.
            self._task = None

    async def _linger(self) -> None:
        """Give others the time to come, unless who has come waits for all that is here."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._linger_s):
                await self._is_complete.wait()
        self._is_complete.clear()

    async def _send(self, batch: _Batch) -> None:
        """Return when the producer has taken the batch; it takes one a partition at a time."""
        while True:
            try:
                delivery = await self._producer.send_batch(
                    batch.builder, self._topic, partition=self._partition
                )
            except KafkaTimeoutError:
                continue  # the one before is still on its way
            else:
                delivery.add_done_callback(partial(self._settle, batch.records))
                return

    def _settle(self, records: list[Pending], delivery: "asyncio.Future[Any]") -> None:
        error = delivery.exception()
        if error is not None:
            self._deliveries.not_delivered(self._client, records, error)
        else:
            self._deliveries.delivered(
                records, self._topic, self._partition, delivery.result().offset
            )

    def _ended(self, task: "asyncio.Task[None]") -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._close()
            records = [record for batch in self._full for record in batch.records]
            self._full.clear()
            self._deliveries.not_delivered(self._client, records, error)


def _size_of(entries: OutgoingEntries) -> int:
    """What they take in a batch at most."""
    size = sum([len(key) + len(value) for key, value in entries.entries])
    return size + ENTRY_BYTES * len(entries.entries)


def _takes_whole(batch: _Batch, entries: OutgoingEntries) -> bool:
    """All of them or none; an empty batch takes them. Raises BatchTooSmall where it does not."""
    builder = batch.builder
    if batch.records and builder.size() + _size_of(entries) > BATCH_BYTES:
        return False
    if not _appended_all(builder, entries.entries):
        raise BatchTooSmall(f"{len(entries.entries)} entries were to fit {BATCH_BYTES:,} bytes")
    return True


def _appended_all(builder: BatchBuilder, entries: Sequence[tuple[bytes, bytes]]) -> bool:
    """Append each, as `append` of an open builder without serializers does; False for no room.

    Of what that takes for one entry its own two calls in Python are more than half.
    """
    records = builder._builder  # noqa: SLF001  # see above
    offset: int = builder._relative_offset  # noqa: SLF001
    try:
        for key, value in entries:
            if records.append(offset, None, key, value, []) is None:
                return False
            offset += 1
    finally:
        # Whatever was raised, the next sequence number follows from how many records there are.
        builder._relative_offset = offset  # noqa: SLF001
    return True
