"""The group-less Kafka reader: all partitions of its topics, positions are the caller's."""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as KafkaPartition

from streams.errors import BrokerUnavailable
from streams.kafka.clients import connect, new_consumer, partitions_of, stop
from streams.kafka.errors import kafka_errors
from streams.kafka.raw_fetching import give_raw_records, take_records
from streams.records import RawRecord, TopicPartition
from streams.settings import KafkaSettings


class KafkaReader:
    """Implements RecordReader. Reads from the beginning unless sought; reconnects by itself."""

    def __init__(self, settings: KafkaSettings, topics: Sequence[str]) -> None:
        self._settings = settings
        self._topics = tuple(topics)
        self._consumer: AIOKafkaConsumer | None = None
        self._partitions: tuple[KafkaPartition, ...] = ()

    async def start(self) -> None:
        """Connect. Raises BrokerUnavailable or TopicMissing within `connect_timeout_s`."""
        consumer = await connect(self._settings, partial(new_consumer, self._settings))
        give_raw_records(consumer)
        try:
            self._partitions = await partitions_of(
                consumer, self._topics, self._settings.connect_timeout_s
            )
        except BaseException:
            await stop(consumer.stop)
            raise
        consumer.assign(self._partitions)
        self._consumer = consumer
        # Its own task must have begun: cancelled before that, it keeps the client from closing.
        await asyncio.sleep(0)

    async def partitions(self) -> tuple[TopicPartition, ...]:
        """All partitions of the topics, as they were at the start."""
        return tuple(TopicPartition(*partition) for partition in self._partitions)

    async def beginning(self) -> Mapping[TopicPartition, int]:
        """The first offset still kept, per partition. Raises BrokerUnavailable."""
        with kafka_errors("asking for the first offsets"):
            async with asyncio.timeout(self._settings.connect_timeout_s):
                return ours(await self._started.beginning_offsets(self._partitions))

    async def end(self) -> Mapping[TopicPartition, int]:
        """The offset that the next record will get, per partition. Raises BrokerUnavailable."""
        with kafka_errors("asking for the end offsets"):
            async with asyncio.timeout(self._settings.connect_timeout_s):
                return ours(await self._started.end_offsets(self._partitions))

    async def offsets_at(self, timestamp_ms: int) -> Mapping[TopicPartition, int]:
        """The first offset at or after a time, else the end. Raises BrokerUnavailable."""
        wanted = dict.fromkeys(self._partitions, timestamp_ms)
        ends = await self.end()
        with kafka_errors("asking for offsets by time"):
            async with asyncio.timeout(self._settings.connect_timeout_s):
                found = await self._started.offsets_for_times(wanted)
        return {
            partition: ends[partition] if place is None else place.offset
            for key, place in found.items()
            for partition in (TopicPartition(*key),)
        }

    def seek(self, position: TopicPartition, offset: int) -> None:
        """Read this partition from `offset` next."""
        self._started.seek(KafkaPartition(*position), offset)

    async def read(
        self, max_records: int = 500, timeout_s: float = 1.0
    ) -> Mapping[TopicPartition, list[RawRecord]]:
        """The next records; nothing while the broker is away."""
        return await take_records(self._started, max_records, timeout_s)

    async def close(self) -> None:
        """Let go of the connection."""
        if self._consumer is not None:
            await stop(self._consumer.stop)
            self._consumer = None

    @property
    def _started(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            raise BrokerUnavailable("the reader is not started")
        return self._consumer


def ends_of_fetches(consumer: AIOKafkaConsumer) -> Mapping[TopicPartition, int]:
    """The high watermarks that came with the last fetches of each assigned partition."""
    found = {source: consumer.highwater(source) for source in consumer.assignment()}
    return ours({source: end for source, end in found.items() if end is not None})


def ours(offsets: Mapping[KafkaPartition, int]) -> Mapping[TopicPartition, int]:
    """aiokafka's offsets by partitions as ours."""
    return {TopicPartition(*partition): offset for partition, offset in offsets.items()}
