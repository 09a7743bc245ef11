"""The largest record that somebody else may write into `events.*` fits wherever it is copied."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from confluent_kafka import Producer

from infra.topics import apply, plan
from schemas.catalog import Catalog
from schemas.errors import NotAnEvent
from schemas.topics import (
    LARGEST_RECORD,
    STORE_EVENTS,
    TopicSpec,
    dead_letter_topic,
    platform_topics,
)
from streams.app import App
from streams.dead_letter import Failure, dead_letter
from streams.kafka.reader import KafkaReader
from streams.kafka.sender import KafkaSender
from streams.parking.letter import LONGEST_ERROR
from streams.records import OutgoingRecord, RawRecord
from streams.settings import KafkaSettings
from tests.contracts.rigs import unique

pytestmark = pytest.mark.kafka

BATCH_OVERHEAD = 256
"""What the broker counts beside the value: the batch, the key, and what compressing noise adds."""


def named_anew(specs: Iterable[TopicSpec], name: str) -> TopicSpec:
    """The settings of a topic of the platform, for a topic of the test."""
    (found,) = [spec for spec in specs if spec.name == name]
    return replace(found, name=unique(name), partitions=1)


async def read_one(settings: KafkaSettings, topic: str) -> RawRecord:
    reader = KafkaReader(settings, [topic])
    await reader.start()
    try:
        async with asyncio.timeout(20):
            while True:
                found: Mapping[Any, list[RawRecord]] = await reader.read(timeout_s=0.2)
                for records in found.values():
                    return records[0]
    finally:
        await reader.close()


async def test_a_record_at_the_brokers_limit_becomes_a_dead_letter_and_fits_the_archive(
    kafka_bootstrap: str,
) -> None:
    app = App(unique("app"))
    platform = platform_topics(Catalog.load(), 1)
    events = named_anew(platform, "events.domain.low")
    archive = named_anew(platform, STORE_EVENTS)
    changes = plan(kafka_bootstrap, [events, archive, *app.topic_specs(1)])
    await asyncio.to_thread(apply, kafka_bootstrap, changes)
    settings = KafkaSettings(bootstrap=kafka_bootstrap)
    sender = KafkaSender(settings)
    largest = os.urandom(LARGEST_RECORD - BATCH_OVERHEAD)
    await (await sender.send(OutgoingRecord(topic=events.name, key=b"k", value=largest)))
    record = await read_one(settings, events.name)
    failed = Failure(
        app=app.name,
        group=f"{app.name}.main",
        handler="read",
        error=NotAnEvent("€" * LONGEST_ERROR),
        tries=1,
    )
    letter = dead_letter(record, failed, datetime.now(UTC))
    await (await sender.send(letter))
    await (await sender.send(letter._replace(topic=archive.name)))
    kept = await read_one(settings, dead_letter_topic(app.name))
    assert kept.value == largest
    assert dict(kept.headers)["wundr_reason"] == b"schemas.not_an_event"
    await sender.close()


async def test_a_record_that_is_larger_unpacked_than_any_topic_takes_becomes_a_dead_letter(
    kafka_bootstrap: str,
) -> None:
    app = App(unique("app"))
    events = named_anew(platform_topics(Catalog.load(), 1), "events.domain.low")
    changes = plan(kafka_bootstrap, [events, *app.topic_specs(1)])
    await asyncio.to_thread(apply, kafka_bootstrap, changes)
    foreign = Producer(
        {
            "bootstrap.servers": kafka_bootstrap,
            "compression.type": "lz4",
            "message.max.bytes": 10_000_000,
        }
    )
    foreign.produce(events.name, key=b"k", value=bytes(5_000_000))
    assert await asyncio.to_thread(foreign.flush, 20) == 0
    settings = KafkaSettings(bootstrap=kafka_bootstrap)
    record = await read_one(settings, events.name)
    failed = Failure(
        app=app.name, group=f"{app.name}.main", handler="read", error=NotAnEvent(), tries=1
    )
    sender = KafkaSender(settings)
    await (await sender.send(dead_letter(record, failed, datetime.now(UTC))))
    kept = await read_one(settings, dead_letter_topic(app.name))
    assert dict(kept.headers)["wundr_whole_bytes"] == b"5000000"
    await sender.close()
