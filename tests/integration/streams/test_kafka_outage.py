"""A broker that is not there: at start, in the middle, at the end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiokafka.errors import OutOfOrderSequenceNumber

from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.event import Event, EventFactory
from schemas.topics import SCHEMAS_TOPIC, all_events_topics, dead_letter_topic, retry_topic
from streams.bus.kafka import KafkaBus
from streams.context import Context
from streams.errors import BrokerUnavailable, DeliveryFailed, NotDelivered
from streams.kafka.group import KafkaGroupReader
from streams.kafka.reader import KafkaReader
from streams.kafka.sender import KafkaSender
from streams.records import OutgoingRecord, TopicPartition
from streams.settings import KafkaSettings
from tests.contracts.rigs import PARTITIONS, Collected, JournalStore, create_topics, unique
from tests.integration.streams.own_broker import OwnBroker, free_ports

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

SYNCED = "integration.repository.synced"
RECOVERY_S = 60.0


class NoListener:
    """An AssignmentListener that has nothing to say."""

    async def revoked(self, partitions: Iterable[TopicPartition]) -> None:
        """Nothing to do."""

    async def assigned(self, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Start from the committed offsets."""
        return {}


@pytest.fixture(scope="module")
def own_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnBroker]:
    """A broker of these tests alone."""
    home: Path = tmp_path_factory.mktemp("broker")
    broker = OwnBroker(home)
    broker.start()
    create_topics(broker.bootstrap, [SCHEMAS_TOPIC], 1)
    create_topics(broker.bootstrap, all_events_topics(), PARTITIONS)
    yield broker
    broker.kill()


@pytest.fixture
async def broker(own_broker: OwnBroker) -> AsyncIterator[OwnBroker]:
    """The broker, running before the test and again after it."""
    yield own_broker
    if not own_broker.is_running:
        await asyncio.to_thread(own_broker.start)


@pytest.fixture
def settings(own_broker: OwnBroker) -> KafkaSettings:
    """Short patience, for callers."""
    return KafkaSettings(
        bootstrap=own_broker.bootstrap, connect_timeout_s=1.5, acknowledge_timeout_s=1.5
    )


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    """The packaged event types."""
    return Catalog.load()


@pytest.fixture
def synced(catalog: Catalog) -> Callable[[int, str], Event[Any]]:
    """Make numbered events of a few repositories."""
    factory = EventFactory(catalog, "outage")

    def make(number: int, correlation_id: str) -> Event[Any]:
        repository = f"r{number % 5}"
        data = {"repository": repository, "projectId": "p", "files": number, "bytes": 1}
        return factory.create_from_mapping(
            SYNCED, data, aggregate_id=repository, correlation_id=correlation_id
        )

    return make


def bus(settings: KafkaSettings, catalog: Catalog, app: str) -> KafkaBus:
    return KafkaBus(app, settings, catalog, JournalStore(Codec(catalog)))


async def create_failure_topics(broker: OwnBroker, app: str) -> None:
    topics = [dead_letter_topic(app), retry_topic(app)]
    await asyncio.to_thread(create_topics, broker.bootstrap, topics, PARTITIONS)


async def test_without_a_broker_every_start_fails_in_bounded_time(
    catalog: Catalog, synced: Callable[[int, str], Event[Any]]
) -> None:
    (port,) = free_ports(1)
    nowhere = KafkaSettings(bootstrap=f"127.0.0.1:{port}", connect_timeout_s=0.6)
    lonely = bus(nowhere, catalog, unique("app"))
    seen = Collected("c")
    attempts = {
        "publish": lambda: lonely.publish(synced(1, "c")),
        "subscribe": lambda: lonely.subscribe(SYNCED, seen, name="seen"),
        "reader": KafkaReader(nowhere, ["t"]).start,
        "member": KafkaGroupReader(nowhere, "g", ["t"], NoListener()).start,
        "sender": KafkaSender(replace(nowhere, acknowledge_timeout_s=None)).start,
    }
    for name, attempt in attempts.items():
        begun = time.monotonic()
        with pytest.raises(BrokerUnavailable, match=f"127.0.0.1:{port}"):
            await attempt()
        assert time.monotonic() - begun < 5, name
    await lonely.close()


async def test_a_broker_that_is_away_in_the_middle_loses_nothing_and_work_goes_on_by_itself(
    broker: OwnBroker,
    settings: KafkaSettings,
    catalog: Catalog,
    synced: Callable[[int, str], Event[Any]],
) -> None:
    app, correlation_id = unique("app"), unique("c")
    await create_failure_topics(broker, app)
    patient = replace(settings, acknowledge_timeout_s=None, connect_timeout_s=10.0)
    ours, seen = bus(patient, catalog, app), Collected(correlation_id)
    await ours.subscribe(SYNCED, seen, name="seen")
    events = [synced(number, correlation_id) for number in range(600)]
    receipts = await ours.publish_batch(events[:200])
    await asyncio.to_thread(broker.kill)
    receipts += await ours.publish_batch(events[200:400])
    await asyncio.to_thread(broker.start)
    receipts += await ours.publish_batch(events[400:])
    async with asyncio.timeout(RECOVERY_S):
        places = [await receipt for receipt in receipts]
        while {event.id for event in seen.events} != {event.id for event in events}:
            await seen.wait_for(len(seen.events) + 1)
    assert len({(place.partition, place.offset) for place in places}) == 600
    first_seen = list(dict.fromkeys(event.data.files for event in seen.events))
    for repository in range(5):
        numbers = [number for number in first_seen if number % 5 == repository]
        assert numbers == sorted(numbers)
    await ours.close()
    letters = KafkaReader(settings, [dead_letter_topic(app)])
    await letters.start()
    assert set((await letters.end()).values()) == {0}
    await letters.close()


async def test_a_reader_without_a_group_goes_on_where_it_was(
    broker: OwnBroker, settings: KafkaSettings
) -> None:
    topic = unique("t")
    await asyncio.to_thread(create_topics, broker.bootstrap, [topic], 1)
    sender = KafkaSender(replace(settings, acknowledge_timeout_s=None))
    reader = KafkaReader(settings, [topic])
    await reader.start()
    values: list[bytes | None] = []

    async def read_until(count: int) -> None:
        async with asyncio.timeout(RECOVERY_S):
            while len(values) < count:
                for records in (await reader.read(timeout_s=0.2)).values():
                    values.extend(record.value for record in records)

    await sender.send(OutgoingRecord(topic=topic, key=b"k", value=b"before"))
    await read_until(1)
    await asyncio.to_thread(broker.kill)
    with pytest.raises(BrokerUnavailable):
        await reader.end()
    await asyncio.to_thread(broker.start)
    await (await sender.send(OutgoingRecord(topic=topic, key=b"k", value=b"after")))
    await read_until(2)
    assert values == [b"before", b"after"]
    await reader.close()
    await sender.close()


async def test_callers_are_told_in_bounded_time_and_close_names_what_is_missing(
    broker: OwnBroker,
    settings: KafkaSettings,
    catalog: Catalog,
    synced: Callable[[int, str], Event[Any]],
) -> None:
    ours = bus(settings, catalog, unique("app"))
    delivered = synced(0, "c")
    await (await ours.publish(delivered))
    await asyncio.to_thread(broker.kill)
    awaited, forgotten = synced(1, "c"), synced(2, "c")
    receipt = await ours.publish(awaited)
    await ours.publish(forgotten)
    begun = time.monotonic()
    with pytest.raises(DeliveryFailed, match=awaited.id):
        await receipt
    assert time.monotonic() - begun < 5
    with pytest.raises(NotDelivered) as missing:
        await ours.close()
    assert missing.value.event_ids == (awaited.id, forgotten.id)
    assert time.monotonic() - begun < 20


async def test_a_full_buffer_makes_senders_wait_until_the_broker_is_back(
    broker: OwnBroker, settings: KafkaSettings
) -> None:
    topic = unique("t")
    await asyncio.to_thread(create_topics, broker.bootstrap, [topic], 1)
    sender = KafkaSender(replace(settings, buffer_records=3, acknowledge_timeout_s=None))
    record = OutgoingRecord(topic=topic, key=b"k", value=b"v")
    await (await sender.send(record))
    await asyncio.to_thread(broker.kill)
    receipts = [await sender.send(record) for _ in range(3)]
    waiting = asyncio.create_task(sender.send(record))
    done, _ = await asyncio.wait({waiting}, timeout=0.5)
    assert done == set()
    await asyncio.to_thread(broker.start)
    async with asyncio.timeout(RECOVERY_S):
        offsets = [(await receipt).offset for receipt in [*receipts, await waiting]]
    assert offsets == [1, 2, 3, 4]
    await sender.close()


async def test_a_client_that_failed_for_good_is_replaced_and_nothing_is_lost_or_reordered(
    own_broker: OwnBroker, settings: KafkaSettings
) -> None:
    topic = unique("t")
    await asyncio.to_thread(create_topics, own_broker.bootstrap, [topic], 1)
    sender = KafkaSender(replace(settings, acknowledge_timeout_s=None))
    receipts = []
    for number in range(300):
        record = OutgoingRecord(topic=topic, key=b"k", value=str(number).encode())
        receipts.append(await sender.send(record))
        if number in (100, 200):
            assert sender._client is not None
            sender._replace(sender._client, OutOfOrderSequenceNumber())
    for receipt in receipts:
        await asyncio.wait_for(receipt, RECOVERY_S)
    await sender.close()
    reader = KafkaReader(settings, [topic])
    values: list[int] = []
    await reader.start()
    total = sum((await reader.end()).values())
    while len(values) < total:
        for records in (await reader.read(timeout_s=0.2)).values():
            values += [int(record.value or b"") for record in records]
    await reader.close()
    assert list(dict.fromkeys(values)) == list(range(300))


async def test_events_are_handled_in_one_app_at_least_once_when_its_member_dies(
    own_broker: OwnBroker,
    settings: KafkaSettings,
    catalog: Catalog,
    synced: Callable[[int, str], Event[Any]],
) -> None:
    app, correlation_id = unique("app"), unique("c")
    await create_failure_topics(own_broker, app)
    dying, heir = bus(settings, catalog, app), bus(settings, catalog, app)
    stuck = asyncio.Event()

    async def hang(event: Event[Any], context: Context) -> None:
        stuck.set()
        await asyncio.Event().wait()

    seen = Collected(correlation_id)
    await dying.subscribe(SYNCED, hang, name="work")
    events = [synced(number, correlation_id) for number in range(20)]
    for receipt in await heir.publish_batch(events):
        await receipt
    await asyncio.wait_for(stuck.wait(), RECOVERY_S)
    await heir.subscribe(SYNCED, seen, name="work")
    await dying.close()
    async with asyncio.timeout(RECOVERY_S):
        while {event.id for event in seen.events} != {event.id for event in events}:
            await seen.wait_for(len(seen.events) + 1)
    await heir.close()
