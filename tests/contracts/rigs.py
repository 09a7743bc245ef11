"""The bus in process and the bus on Kafka behind one face, for one suite."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any, Protocol

from confluent_kafka.admin import AdminClient, NewTopic

from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.event import Event
from schemas.topics import dead_letter_topic, retry_topic
from streams.bus.kafka import KafkaBus
from streams.bus.log_bus import BusOptions, LogBus
from streams.bus.memory import MemoryBus
from streams.context import Context
from streams.kafka.reader import KafkaReader
from streams.kafka.sender import KafkaSender
from streams.log import RecordReader, RecordSender
from streams.memory.log import MemoryLog, MemorySender
from streams.memory.reader import MemoryReader
from streams.receipt import Acknowledgement
from streams.records import OutgoingRecord, RawRecord
from streams.retry import RetrySchedule
from streams.settings import KafkaSettings

PARTITIONS = 4
WAIT_S = 15.0
QUICK = RetrySchedule(tries=3, first_delay_s=0.01, factor=1.0)


class Feature(StrEnum):
    """What only some logs can do."""

    BROKER_CAN_BE_AWAY = "the broker is a process of its own"


class BusRig(Protocol):
    """Makes buses over one log, and looks at the log behind their backs."""

    features: frozenset[Feature]

    async def open(self, app: str, catalog: Catalog | None = None) -> LogBus:
        """A new bus of an app."""
        ...

    def sender(self) -> RecordSender:
        """Writes whatever it is given."""
        ...

    def reader(self, *topics: str) -> RecordReader:
        """Reads topics from their beginning."""
        ...


async def write(rig: BusRig, record: OutgoingRecord) -> None:
    """Write a record past the bus, acknowledged."""
    sender = rig.sender()
    await (await sender.send(record))
    await sender.close()


async def dead_letters(rig: BusRig, app: str, at_least: int = 0) -> list[RawRecord]:
    """All dead letters of an app, once there are so many."""
    reader = rig.reader(dead_letter_topic(app))
    await reader.start()
    stands = sum((await reader.end()).values()) - sum((await reader.beginning()).values())
    missing = max(stands, at_least)
    found: list[RawRecord] = []
    async with asyncio.timeout(WAIT_S):
        while len(found) < missing:
            for records in (await reader.read(timeout_s=0.2)).values():
                found += records
    await reader.close()
    return found


class Collected:
    """A handler that notes its events, those of one correlation only: others use the broker too."""

    def __init__(self, correlation_id: str) -> None:
        self.events: list[Event[Any]] = []
        self._correlation_id = correlation_id
        self._arrived = asyncio.Condition()

    async def __call__(self, event: Event[Any], context: Context) -> None:
        """Note the event."""
        if event.correlation_id == self._correlation_id:
            async with self._arrived:
                self.events.append(event)
                self._arrived.notify_all()

    async def wait_for(self, number: int) -> list[Event[Any]]:
        """Return when so many events were noted; TimeoutError when they do not come."""
        async with asyncio.timeout(WAIT_S), self._arrived:
            await self._arrived.wait_for(lambda: len(self.events) >= number)
        return self.events

    @property
    def ids(self) -> list[str]:
        """The ids of the noted events."""
        return [event.id for event in self.events]


class JournalStore:
    """A StoredEvents that holds what a bus journalled, for a bus whose store is elsewhere."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._events: list[Event[Any]] = []

    def published(self, record: OutgoingRecord) -> None:
        """See Journal."""

    def acknowledged(self, record: OutgoingRecord, acknowledgement: Acknowledgement) -> None:
        """Take in an acknowledged event."""
        self._events.append(self._codec.view(record.value or b""))

    async def get_events(
        self,
        aggregate_type: str | None,
        aggregate_id: str,
        from_version: int | None = None,
        target_version: int | None = None,
    ) -> list[Event[Any]]:
        """See StoredEvents."""
        return [
            event
            for event in self._events
            if event.aggregate is not None
            and event.aggregate.id == aggregate_id
            and aggregate_type in (None, event.aggregate.type)
        ]

    async def get_events_by_correlation(self, correlation_id: str) -> list[Event[Any]]:
        """See StoredEvents."""
        return [event for event in self._events if event.correlation_id == correlation_id]


class MemoryRig:
    """Buses over one log in process."""

    features: frozenset[Feature] = frozenset()

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._log = MemoryLog(PARTITIONS)

    async def open(self, app: str, catalog: Catalog | None = None) -> LogBus:
        """See BusRig."""
        return MemoryBus(
            app,
            self._log,
            catalog or self._catalog,
            schema_wait_s=0.2,
            options=BusOptions(schedule=QUICK),
        )

    def sender(self) -> RecordSender:
        """See BusRig."""
        return MemorySender(self._log)

    def reader(self, *topics: str) -> RecordReader:
        """See BusRig."""
        return MemoryReader(self._log, topics)


class KafkaRig:
    """Buses on a broker whose platform topics exist."""

    features = frozenset({Feature.BROKER_CAN_BE_AWAY})

    def __init__(self, bootstrap: str, catalog: Catalog) -> None:
        self._catalog = catalog
        self._settings = KafkaSettings(
            bootstrap=bootstrap, partitions=PARTITIONS, schema_wait_s=0.5
        )

    async def open(self, app: str, catalog: Catalog | None = None) -> LogBus:
        """See BusRig; makes the app's dead letter topic."""
        topics = [dead_letter_topic(app), retry_topic(app)]
        await asyncio.to_thread(create_topics, self._settings.bootstrap, topics, PARTITIONS)
        known = catalog or self._catalog
        store = JournalStore(Codec(known))
        options = BusOptions(schedule=QUICK, journal=store)
        return KafkaBus(app, self._settings, known, store, options=options)

    def sender(self) -> RecordSender:
        """See BusRig."""
        return KafkaSender(self._settings)

    def reader(self, *topics: str) -> RecordReader:
        """See BusRig."""
        return KafkaReader(self._settings, topics)


def create_topics(bootstrap: str, names: Sequence[str], partitions: int) -> None:
    """Create the topics of these names that do not exist yet."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    known = admin.list_topics(timeout=10).topics
    missing = [NewTopic(name, partitions, 1) for name in names if name not in known]
    for created in admin.create_topics(missing).values() if missing else ():
        created.result(timeout=10)


def unique(prefix: str) -> str:
    """A name that no other test uses."""
    return f"{prefix}-{uuid.uuid4().hex[:10]}"


MakeRig = Callable[[], BusRig]
