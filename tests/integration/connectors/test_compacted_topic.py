"""Compaction removes copies of events from `store.events`, and nothing that anybody needs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource

from schemas.event import Event
from tests.integration.connectors.audited_store import AuditedStore
from tests.integration.connectors.conftest import PARTITIONS, Archive
from tests.integration.connectors.test_store_audit import drain
from tests.integration.connectors.test_store_restore import contents, drop_everything, histories

pytestmark = [pytest.mark.kafka, pytest.mark.postgres]

Files = Callable[[int], list[Event[Any]]]

Config = Mapping[str, str | None]

CLEANER_PAUSE = "log.cleaner.backoff.ms"
COMPACTED_SOON: Config = {
    "cleanup.policy": "compact",
    "min.cleanable.dirty.ratio": "0",
    "segment.ms": "100",
}


def configure(archive: Archive, kind: Any, name: str, config: Config) -> None:
    """Change settings of a topic or a broker; None gives back what there was."""
    entries = [
        ConfigEntry(
            setting,
            value,
            incremental_operation=AlterConfigOpType.DELETE
            if value is None
            else AlterConfigOpType.SET,
        )
        for setting, value in config.items()
    ]
    changed = ConfigResource(kind, name, incremental_configs=entries)
    admin = AdminClient({"bootstrap.servers": archive.bootstrap})
    for done in admin.incremental_alter_configs([changed]).values():
        done.result(30)


@contextmanager
def eager_cleaner(archive: Archive) -> Iterator[None]:
    """Let the broker look often whether there is something to compact."""
    brokers = AdminClient({"bootstrap.servers": archive.bootstrap}).list_topics(timeout=10).brokers
    try:
        for broker in brokers:
            configure(archive, ConfigResource.Type.BROKER, str(broker), {CLEANER_PAUSE: "200"})
        yield
    finally:
        for broker in brokers:
            configure(archive, ConfigResource.Type.BROKER, str(broker), {CLEANER_PAUSE: None})


def begin_segments(archive: Archive) -> None:
    """Write a tombstone to each partition: a segment is compacted when there is a newer one."""
    producer = Producer({"bootstrap.servers": archive.bootstrap})
    for partition in range(PARTITIONS):
        producer.produce(archive.settings.topic, key=b"none", value=None, partition=partition)
    assert producer.flush(30) == 0


def kept(archive: Archive) -> list[bytes]:
    """The keys of all events that the topic still has, once for each copy."""
    consumer = Consumer({"bootstrap.servers": archive.bootstrap, "group.id": "nobody"})
    places = [TopicPartition(archive.settings.topic, number, 0) for number in range(PARTITIONS)]
    ends = {it.partition: consumer.get_watermark_offsets(it, timeout=10)[1] for it in places}
    consumer.assign(places)
    found: list[bytes] = []
    try:
        # The last record of each partition is a tombstone, which stays.
        while ends:
            for message in consumer.consume(1_000, timeout=1):
                if message.value() is not None:
                    found.append(message.key() or b"")
                if (message.offset() or 0) + 1 >= ends.get(message.partition() or 0, 0):
                    ends.pop(message.partition() or 0, None)
    finally:
        consumer.close()
    return found


async def until_compacted(archive: Archive, events: int) -> None:
    """Wait until each event is there once."""
    async with asyncio.timeout(60):
        while True:
            begin_segments(archive)
            if len(await asyncio.to_thread(kept, archive)) == events:
                return
            await asyncio.sleep(0.5)


@pytest.mark.slow
async def test_a_store_is_restored_whole_from_a_topic_that_was_compacted(
    archive: Archive, fresh_database: str, files: Files
) -> None:
    store = AuditedStore(archive=archive, dsn=fresh_database)
    store.make()
    events = files(300)
    # A producer that tries again, and an archive that was killed: each event is there twice.
    store.publish([*events, *events])
    await drain(store, 600)
    before = contents(store.dsn), histories(store.dsn)
    begin_segments(archive)
    assert len(kept(archive)) == 600
    configure(archive, ConfigResource.Type.TOPIC, archive.settings.topic, COMPACTED_SOON)
    with eager_cleaner(archive):
        await until_compacted(archive, 300)

    audit = await store.audit()
    assert audit.agrees, audit.findings.named
    await drop_everything(store.dsn)
    report = await store.restore()
    assert (report.stored, report.refused) == (300, 0)
    assert (contents(store.dsn), histories(store.dsn)) == before
    audit = await store.audit()
    assert audit.agrees, audit.findings.named
    assert (audit.findings.events, audit.findings.in_flight) == (300, 0)
