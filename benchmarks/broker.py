"""The bench's own broker: topics made and removed, places of groups, records written."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Final, NamedTuple

from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient

from benchmarks.patience import Patience
from infra.topics import apply, plan
from schemas.topics import TopicSpec

_TIMEOUT_S: Final = 30.0
_POLL_S: Final = 0.05
_ASK_S: Final = 5.0
_QUEUED: Final = 100_000


class NewRecord(NamedTuple):
    """A record to write, with its partition."""

    partition: int
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]


class Broker:
    """Speaks to the broker between runs, never during one."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self._patience = Patience(longest_s=_TIMEOUT_S, pause_s=_POLL_S)
        self._admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})

    def make(self, specs: Iterable[TopicSpec]) -> None:
        """Create what is missing."""
        apply(self.bootstrap, plan(self.bootstrap, specs))

    def remove(self, topics: Collection[str]) -> None:
        """Delete topics and wait until they are gone."""
        present = [topic for topic in topics if topic in self.topics()]
        if not present:
            return
        for future in self._admin.delete_topics(present).values():
            future.result(_TIMEOUT_S)
        deadline = time.monotonic() + _TIMEOUT_S
        while set(present) & self.topics():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{', '.join(present)}: still there")
            time.sleep(_POLL_S)

    def topics(self) -> set[str]:
        """All topics but the broker's own."""
        names: Iterable[str] = self._admin.list_topics(timeout=_TIMEOUT_S).topics
        return {name for name in names if not name.startswith("__")}

    def remove_all_but(self, kept: Collection[str]) -> None:
        """Delete what runs have left behind."""
        self.remove(self.topics() - set(kept))

    def bounds(self, topic: str, partitions: int) -> tuple[tuple[int, int], ...]:
        """First offset and the one after the last, per partition; waits for their leaders.

        Raises BrokerNotReady.
        """
        places = [TopicPartition(topic, number) for number in range(partitions)]
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": "bounds"})
        try:
            return tuple(
                self._patience.until_answered(
                    f"{topic}, partition {place.partition}",
                    partial(consumer.get_watermark_offsets, place, timeout=_ASK_S),
                )
                for place in places
            )
        finally:
            consumer.close()

    def place_group(self, group: str, topic: str, starts: Sequence[int]) -> None:
        """Let a group that does not run begin at these offsets. Raises BrokerNotReady."""
        offsets = [TopicPartition(topic, number, start) for number, start in enumerate(starts)]

        def place() -> None:
            asked = self._admin.alter_consumer_group_offsets(
                [ConsumerGroupTopicPartitions(group, offsets)]
            )
            for future in asked.values():
                # The answer is whole even where single partitions were refused.
                for placed in future.result(_TIMEOUT_S).topic_partitions:
                    if placed.error is not None:
                        raise KafkaException(placed.error)

        self._patience.until_answered(f"group {group}", place)

    @contextmanager
    def writer(self, topic: str) -> Iterator[Writer]:
        """Write records to a topic, acknowledged at the end of the block."""
        writer = Writer(self.bootstrap, topic)
        yield writer
        writer.finish()


class Writer:
    """Writes in order, compressed as this platform's own producers do."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._topic = topic
        self._refused: list[str] = []
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "enable.idempotence": True,
                "compression.type": "lz4",
                "linger.ms": 100,
                "batch.size": 128 * 1024,
                "queue.buffering.max.messages": 2 * _QUEUED,
                "queue.buffering.max.kbytes": 512 * 1024,
                "log_level": 0,
            }
        )

    def write(self, record: NewRecord) -> None:
        """Queue a record; waits while many are on their way."""
        if len(self._producer) >= _QUEUED:
            self._producer.poll(0.1)
        self._producer.produce(
            self._topic,
            partition=record.partition,
            key=record.key,
            value=record.value,
            headers=list(record.headers),
            on_delivery=self._delivered,
        )

    def finish(self) -> None:
        """Wait for all acknowledgements. Raises RuntimeError when one is missing."""
        missing = self._producer.flush(_TIMEOUT_S)
        if missing or self._refused:
            raise RuntimeError(f"{missing} records of {self._topic} missing: {self._refused[:3]}")

    def _delivered(self, error: object, _message: object) -> None:
        if error is not None:
            self._refused.append(str(error))
