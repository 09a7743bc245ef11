"""Encoded, announced, sent, journalled: in this order, and nothing of it for a bad event."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from schemas.codec import Codec
from schemas.errors import InvalidEventData
from schemas.event import Event, EventFactory
from schemas.events.integration import IntegrationRepositorySynced
from schemas.framing import schema_id_of
from schemas.topics import SCHEMAS_TOPIC
from streams.errors import BatchInterrupted, BrokerUnavailable, JournalFailed
from streams.memory.log import MemoryLog, MemorySender
from streams.memory.schemas import MemoryWriterSchemas
from streams.publisher import EventPublisher, NoJournal
from streams.receipt import Acknowledgement, Receipt
from streams.records import OutgoingRecord
from tests.unit.streams.bench import Bench

MakeEvent = Callable[..., Event[Any]]


@pytest.fixture
def synced(factory: EventFactory) -> MakeEvent:
    """Make an event of a type that is published."""

    def make(files: Any = 3) -> Event[Any]:
        data = IntegrationRepositorySynced(
            repository="r1", project_id="p1", files=files, bytes=48_000
        )
        return factory.create(data, aggregate_id="r1")

    return make


async def test_an_event_stands_under_its_key_in_its_topic_with_its_headers(
    bench: Bench, synced: MakeEvent
) -> None:
    event = synced()
    place = await (await bench.publisher().publish(event))
    (record,) = bench.log.topic("events.integration.normal")
    assert (place.topic, place.partition, place.offset) == (
        record.topic,
        record.partition,
        record.offset,
    )
    assert record.key == b"Repository/r1"
    assert dict(record.headers)["ce_id"] == event.id.encode()
    assert dict(record.headers)["ce_type"] == b"integration.repository.synced"
    assert bench.codec.view(record.value or b"").payload == event.payload


async def test_a_schema_is_announced_once_before_its_first_event(
    bench: Bench, synced: MakeEvent
) -> None:
    publisher = bench.publisher()
    for _ in range(3):
        await publisher.publish(synced())
    (announced,) = bench.log.topic(SCHEMAS_TOPIC)
    (first, *_) = bench.log.topic("events.integration.normal")
    assert announced.key == str(schema_id_of(first.value or b"")).encode()
    assert announced.timestamp_ms <= first.timestamp_ms


async def test_a_bad_event_sends_nothing_not_even_its_schema(
    bench: Bench, synced: MakeEvent
) -> None:
    bad = synced(files="three")
    with pytest.raises(InvalidEventData) as refused:
        await bench.publisher().publish(bad)
    assert refused.value.path == "data.files"
    assert bench.log.topic(SCHEMAS_TOPIC) == []
    assert bench.log.topic("events.integration.normal") == []


async def test_a_bad_event_refuses_its_batch_whole(bench: Bench, synced: MakeEvent) -> None:
    bad = synced(files="three")
    with pytest.raises(InvalidEventData):
        await bench.publisher().publish_batch([synced(), bad])
    assert bench.log.topic("events.integration.normal") == []


async def test_the_journal_knows_of_an_event_before_its_receipt_resolves(
    bench: Bench, synced: MakeEvent
) -> None:
    lines: list[tuple[str, str]] = []

    class Lines:
        def published(self, record: OutgoingRecord) -> None:
            lines.append(("published", dict(record.headers)["ce_id"].decode()))

        def acknowledged(self, record: OutgoingRecord, acknowledgement: Acknowledgement) -> None:
            lines.append(("acknowledged", dict(record.headers)["ce_id"].decode()))

    codec: Codec = bench.codec
    publisher = EventPublisher(
        bench.catalog,
        codec,
        MemorySender(bench.log),
        MemoryWriterSchemas(bench.log, codec),
        Lines(),
    )
    event = synced()
    await (await publisher.publish(event))
    assert lines == [("published", event.id), ("acknowledged", event.id)]


async def test_an_event_that_the_journal_cannot_take_is_not_acknowledged(
    bench: Bench, synced: MakeEvent
) -> None:
    class Full(NoJournal):
        def acknowledged(self, record: OutgoingRecord, acknowledgement: Acknowledgement) -> None:
            raise OSError(28, "No space left on device")

    publisher = EventPublisher(
        bench.catalog,
        bench.codec,
        MemorySender(bench.log),
        MemoryWriterSchemas(bench.log, bench.codec),
        Full(),
    )
    receipt = await publisher.publish(synced())
    assert not receipt.acknowledged
    with pytest.raises(JournalFailed, match="No space left on device") as failed:
        await receipt
    assert failed.value.retryable


class FailingSender(MemorySender):
    """A sender whose broker goes away after so many events."""

    def __init__(self, log: MemoryLog, sends: int) -> None:
        super().__init__(log)
        self._sends = sends

    async def send(self, record: OutgoingRecord) -> Receipt:
        if self._sends == 0:
            raise BrokerUnavailable("away")
        self._sends -= 1
        return await super().send(record)


def publisher_of(bench: Bench, sends: int) -> EventPublisher:
    schemas = MemoryWriterSchemas(bench.log, bench.codec)
    return EventPublisher(bench.catalog, bench.codec, FailingSender(bench.log, sends), schemas)


async def test_a_batch_that_is_interrupted_names_what_was_sent_and_what_was_not(
    bench: Bench, synced: MakeEvent
) -> None:
    events = [synced() for _ in range(4)]
    with pytest.raises(BatchInterrupted) as interrupted:
        await publisher_of(bench, sends=2).publish_batch(events)
    ids = [event.id for event in events]
    assert [receipt.event_id for receipt in interrupted.value.receipts] == ids[:2]
    assert interrupted.value.not_sent == tuple(ids[2:])
    assert (await interrupted.value.receipts[1]).offset == 1
    assert isinstance(interrupted.value.__cause__, BrokerUnavailable)


async def test_a_batch_of_which_nothing_was_sent_fails_as_one_event_does(
    bench: Bench, synced: MakeEvent
) -> None:
    with pytest.raises(BrokerUnavailable):
        await publisher_of(bench, sends=0).publish_batch([synced(), synced()])


async def test_a_published_event_has_no_version(bench: Bench, synced: MakeEvent) -> None:
    event = synced()
    aggregate = event.aggregate
    assert aggregate is not None
    numbered = Event(event.envelope._replace(aggregate=aggregate._replace(version=1)), event.data)
    with pytest.raises(InvalidEventData, match=r"aggregate\.version"):
        await bench.publisher().publish(numbered)
    assert bench.log.topic("events.integration.normal") == []
