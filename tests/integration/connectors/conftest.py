"""Topics of one test on the shared broker, filled and read back."""

import asyncio
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from connectors.settings import PostgresSettings, SinkSettings
from connectors.sink_service import SinkPlan
from infra.topics import topic_ids
from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.event import Event, EventFactory
from schemas.headers import event_headers
from streams.kafka.sender import KafkaSender
from streams.records import OutgoingRecord
from streams.settings import KafkaSettings

CATALOG = Catalog.load()
PARTITIONS = 4


@dataclass
class Archive:
    """A `store.events` of its own, with its dead letters."""

    bootstrap: str
    name: str

    @property
    def settings(self) -> SinkSettings:
        return SinkSettings(
            app=self.name,
            group=f"{self.name}.sink",
            topic=f"store.{self.name}",
            batch_records=50,
            longest_delay_s=0.5,
        )

    def plan(self, dsn: str) -> SinkPlan:
        topic = self.settings.topic
        return SinkPlan(
            kafka=KafkaSettings(bootstrap=self.bootstrap, schema_wait_s=0.5),
            postgres=PostgresSettings(dsn=dsn, acquire_timeout_s=2),
            topic_id=topic_ids(self.bootstrap, [topic])[topic],
            catalog=CATALOG,
            sink=self.settings,
        )

    async def put(self, values: Sequence[Event[Any] | bytes]) -> None:
        codec = Codec(CATALOG)
        sender = KafkaSender(KafkaSettings(bootstrap=self.bootstrap))
        for value in values:
            encoded = value if isinstance(value, bytes) else codec.encode(value)
            key = b"bad" if isinstance(value, bytes) else value.key.encode()
            headers = () if isinstance(value, bytes) else event_headers(value)
            await sender.send(
                OutgoingRecord(topic=self.settings.topic, key=key, value=encoded, headers=headers)
            )
        await sender.close()

    def dead_letters(self) -> list[bytes | None]:
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": "nobody"})
        try:
            found: list[bytes | None] = []
            for partition in range(PARTITIONS):
                place = TopicPartition(f"dlq.{self.name}", partition, 0)
                _, end = consumer.get_watermark_offsets(place, timeout=10)
                consumer.assign([place])
                wanted = len(found) + end
                while len(found) < wanted:
                    found += [message.value() for message in consumer.consume(end, timeout=10)]
            return found
        finally:
            consumer.close()


@pytest.fixture
def archive(kafka_bootstrap: str) -> Archive:
    """Fresh topics of one test."""
    return new_archive(kafka_bootstrap)


def new_archive(kafka_bootstrap: str) -> Archive:
    """Make the topics of an archive under a name that nobody else has."""
    made = Archive(bootstrap=kafka_bootstrap, name=f"t{uuid.uuid4().hex[:10]}")
    admin = AdminClient({"bootstrap.servers": kafka_bootstrap})
    wanted = [
        NewTopic(made.settings.topic, PARTITIONS, 1),
        NewTopic(f"dlq.{made.name}", PARTITIONS, 1),
    ]
    for done in admin.create_topics(wanted).values():
        done.result(30)
    existing = admin.list_topics(timeout=10).topics
    schemas = NewTopic("wundr.schemas", 1, 1, config={"cleanup.policy": "compact"})
    if schemas.topic not in existing:
        for done in admin.create_topics([schemas]).values():
            done.result(30)
    return made


@pytest.fixture
def files() -> Callable[[int], list[Event[Any]]]:
    """Makes events of ten aggregates, told apart by their line counts."""
    factory = EventFactory(CATALOG, source="tests")

    def make(count: int) -> list[Event[Any]]:
        return [
            factory.create_from_mapping(
                "analysis.file.processed",
                {
                    "analysisId": "a",
                    "projectId": "p",
                    "path": f"f{number % 10}.py",
                    "lines": number,
                    "functions": 0,
                    "classes": 0,
                    "error": None,
                    "imports": 0,
                    "complexity": None,
                },
                aggregate_id=f"f{number % 10}.py",
                correlation_id="run-1",
            )
            for number in range(count)
        ]

    return make


async def eventually(condition: Callable[[], bool], within_s: float = 60) -> None:
    """Wait for a condition of another process; fails when it stays false."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110  # another process has no event to wait for
            await asyncio.sleep(0.05)
