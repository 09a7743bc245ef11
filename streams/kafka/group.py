"""The Kafka group reader: a member of a consumer group that commits only what it is told."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as KafkaPartition
from aiokafka.abc import ConsumerRebalanceListener

from schemas.errors import WundrError
from streams.errors import BrokerUnavailable
from streams.kafka.clients import OffsetReset, connect, new_consumer, partitions_of, stop
from streams.kafka.errors import kafka_errors
from streams.kafka.raw_fetching import give_raw_records, take_records
from streams.kafka.reader import ends_of_fetches
from streams.log import AssignmentListener
from streams.records import RawRecord, TopicPartition
from streams.settings import KafkaSettings


class KafkaGroupReader:
    """Implements GroupReader. `reset` says where a group begins that has committed nothing yet."""

    def __init__(
        self,
        settings: KafkaSettings,
        group: str,
        topics: Sequence[str],
        listener: AssignmentListener,
        *,
        reset: OffsetReset = "earliest",
    ) -> None:
        self._settings = settings
        self._group = group
        self._topics = tuple(topics)
        self._listener = listener
        self._reset: OffsetReset = reset
        self._consumer: AIOKafkaConsumer | None = None
        self._assignments: _Assignments | None = None

    async def start(self) -> None:
        """Join the group, up to its first assignment. Raises BrokerUnavailable, TopicMissing."""
        consumer = await connect(
            self._settings,
            partial(new_consumer, self._settings, group=self._group, reset=self._reset),
        )
        give_raw_records(consumer)
        assignments = _Assignments(consumer, self._listener, self._reset)
        try:
            await partitions_of(consumer, self._topics, self._settings.connect_timeout_s)
            consumer.subscribe(self._topics, listener=assignments)
            await assignments.first
        except BaseException:
            await stop(consumer.stop)
            raise
        self._consumer, self._assignments = consumer, assignments

    async def read(
        self, max_records: int = 500, timeout_s: float = 1.0, *, shares: int = 1
    ) -> Mapping[TopicPartition, list[RawRecord]]:
        """The next records; none while the broker is away. Raises what the listener has raised."""
        consumer, assignments = self._started
        assignments.raise_failure()
        at_once = await self._of_shares(consumer, max_records, shares) if shares > 1 else {}
        return at_once or await take_records(consumer, max_records, timeout_s)

    @staticmethod
    async def _of_shares(
        consumer: AIOKafkaConsumer, max_records: int, shares: int
    ) -> Mapping[TopicPartition, list[RawRecord]]:
        """What has been fetched of each share. An error waits for what was taken before it."""
        assigned = sorted(TopicPartition(*key) for key in consumer.assignment())
        taken: dict[TopicPartition, list[RawRecord]] = {}
        for share in filter(None, (assigned[first::shares] for first in range(shares))):
            try:
                taken |= await take_records(consumer, max_records, 0, share)
            except WundrError:
                if not taken:
                    raise
                break
        return taken

    async def positions(self) -> Mapping[TopicPartition, int]:
        """See GroupReader. Raises BrokerUnavailable."""
        consumer, _ = self._started
        with kafka_errors(f"asking for the positions of {self._group}"):
            async with asyncio.timeout(self._settings.connect_timeout_s):
                return {
                    TopicPartition(*key): await consumer.position(key)
                    for key in consumer.assignment()
                }

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Record the next offsets. Raises CommitRefused for a partition that is ours no more."""
        consumer, _ = self._started
        if not offsets:
            return
        with kafka_errors(f"committing offsets of {self._group}"):
            async with asyncio.timeout(self._settings.connect_timeout_s):
                await consumer.commit(
                    {KafkaPartition(*key): offset for key, offset in offsets.items()}
                )

    def known_ends(self) -> Mapping[TopicPartition, int]:
        """See GroupReader."""
        return {} if self._consumer is None else ends_of_fetches(self._consumer)

    async def close(self) -> None:
        """Leave the group; the listener is not told, its partitions are simply gone."""
        if self._consumer is not None:
            await stop(self._consumer.stop)
            self._consumer = None

    @property
    def _started(self) -> "tuple[AIOKafkaConsumer, _Assignments]":
        if self._consumer is None or self._assignments is None:
            raise BrokerUnavailable(f"the reader of group {self._group} is not started")
        return self._consumer, self._assignments


class _Assignments(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka has no types
    """Passes assignments on. aiokafka only logs what a listener raises: here the next read does."""

    def __init__(
        self, consumer: AIOKafkaConsumer, listener: AssignmentListener, reset: OffsetReset
    ) -> None:
        self._consumer = consumer
        self._listener = listener
        self._reset = reset
        self._failure: Exception | None = None
        self.first: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def raise_failure(self) -> None:
        """Raise what the listener has raised."""
        if self._failure is not None:
            raise self._failure

    async def on_partitions_revoked(self, revoked: Iterable[KafkaPartition]) -> None:
        """These partitions go to another member once this returns."""
        try:
            await self._listener.revoked([TopicPartition(*partition) for partition in revoked])
        except Exception as error:  # noqa: BLE001  # kept for the next read
            self._failure = error

    async def on_partitions_assigned(self, assigned: Iterable[KafkaPartition]) -> None:
        """Nothing is read from the new partitions until the listener has said where to start."""
        partitions = [KafkaPartition(*partition) for partition in assigned]
        self._consumer.pause(*partitions)
        try:
            starts = await self._listener.assigned([TopicPartition(*key) for key in partitions])
            for key, offset in starts.items():
                self._consumer.seek(KafkaPartition(*key), offset)
            if self._reset == "latest":
                await self._begin_at_end(
                    [key for key in partitions if TopicPartition(*key) not in starts]
                )
            self._consumer.resume(*partitions)
        except Exception as error:  # noqa: BLE001  # kept for the next read; the partitions stay paused
            self._failure = error
        if not self.first.done():
            self.first.set_result(None)

    async def _begin_at_end(self, partitions: list[KafkaPartition]) -> None:
        """A new group's end is fixed now and committed: what is sent from now on belongs to it."""
        new = [key for key in partitions if await self._consumer.committed(key) is None]
        if not new:
            return
        ends = await self._consumer.end_offsets(new)
        for partition, end in ends.items():
            self._consumer.seek(partition, end)
        await self._consumer.commit(ends)
