"""The Kafka fetcher: given partitions from given offsets, in order, without a group."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from functools import partial

from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as KafkaPartition

from streams.errors import BrokerUnavailable
from streams.kafka.clients import connect, new_fetching_consumer, stop, wait_for_topic
from streams.kafka.errors import kafka_errors
from streams.kafka.raw_fetching import give_raw_records, take_records
from streams.kafka.reader import ends_of_fetches, ours
from streams.records import RawRecord, TopicPartition
from streams.settings import KafkaSettings


class KafkaFetcher:
    """Implements PartitionFetcher. Begins once; for other partitions take another one.

    So what was fetched for an earlier assignment can never arrive in a later one.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._consumer: AIOKafkaConsumer | None = None

    async def start(self, starts: Mapping[TopicPartition, int]) -> None:
        """See PartitionFetcher. An offset that is no longer kept means the first that is."""
        consumer = await connect(self._settings, partial(new_fetching_consumer, self._settings))
        give_raw_records(consumer)
        consumer.assign([KafkaPartition(*source) for source in starts])
        for source, offset in starts.items():
            consumer.seek(KafkaPartition(*source), offset)
        self._consumer = consumer
        # Its own task must have begun: cancelled before that, it keeps the client from closing.
        await asyncio.sleep(0)

    async def fetch(
        self, sources: Collection[TopicPartition], max_records: int, timeout_s: float
    ) -> Mapping[TopicPartition, Sequence[RawRecord]]:
        """See PartitionFetcher."""
        return await take_records(self._started, max_records, timeout_s, sources)

    async def ends(self, sources: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        """See PartitionFetcher. Raises TopicMissing, in bounded time."""
        with kafka_errors("asking for the end offsets"):
            for topic in {source.topic for source in sources}:
                await wait_for_topic(self._started._client, topic, self._settings.connect_timeout_s)  # noqa: SLF001  # a topic that is missing would be asked for again and again
            async with asyncio.timeout(self._settings.connect_timeout_s):
                found = await self._started.end_offsets(
                    [KafkaPartition(*source) for source in sources]
                )
        return ours(found)

    def known_ends(self) -> Mapping[TopicPartition, int]:
        """See PartitionFetcher."""
        return {} if self._consumer is None else ends_of_fetches(self._consumer)

    async def position(self, source: TopicPartition) -> int:
        """See PartitionFetcher."""
        with kafka_errors("asking for a position"):
            position = await self._started.position(KafkaPartition(*source))
        assert isinstance(position, int)
        return position

    async def close(self) -> None:
        """See PartitionFetcher."""
        if self._consumer is not None:
            consumer, self._consumer = self._consumer, None
            await stop(consumer.stop)

    @property
    def _started(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            raise BrokerUnavailable("the fetcher is not started")
        return self._consumer
