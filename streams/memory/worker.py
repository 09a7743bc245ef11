"""A worker in process: runs an app's handlers, projections and sagas without a broker, by steps.

The same processor as in production works on a MemoryLog; nothing runs in the background, so each
event is handled when `run_until_idle` returns.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.event import EventFactory, system_clock
from schemas.key_ring import KeyRing
from streams.app import MAIN, App
from streams.attempts import Attempts, Sleep
from streams.edges import Edges
from streams.memory.log import MemoryLog, MemorySender
from streams.memory.sagas import MemorySagaStore
from streams.memory.schemas import MemoryWriterSchemas
from streams.processor import AppProcessor
from streams.projection import Entry, State
from streams.publisher import EventPublisher
from streams.reading import EventReading
from streams.records import TopicPartition
from streams.retry import RetrySchedule
from streams.sagas.course import subscription_of
from streams.sagas.running import SagaRunning
from streams.table import MemoryTable
from streams.workload import Workload


class MemoryWorker:
    """The main subscription of an app, and its sagas, over a log in process from its beginning."""

    def __init__(
        self,
        app: App,
        log: MemoryLog,
        catalog: Catalog,
        *,
        clock: Callable[[], datetime] = system_clock,
        sleep: Sleep = asyncio.sleep,
        keys: KeyRing | None = None,
    ) -> None:
        codec = Codec(catalog, keys=keys)
        self._log = log
        self._catalog = catalog
        self._sender = MemorySender(log)
        self._edges = _Given(codec, MemoryWriterSchemas(log, codec), clock, sleep)
        self.sagas = MemorySagaStore(log, catalog, codec, clock=clock)
        running = SagaRunning(app.name, catalog, self.sagas)
        workload = app.workload()
        self._tables = {
            name: MemoryTable(changelog) for name, changelog in workload.changelogs().items()
        }
        workloads = [
            workload,
            *(running.prepared(app.workload(subscription_of(it.name))) for it in app.sagas),
        ]
        self._firing = running
        self._subscriptions = [self._subscription(it) for it in workloads]

    async def run_until_idle(self) -> int:
        """Work on everything in the log, and on what that brings about; how many records it was.

        Deadlines of sagas that are due by the clock pass, too.
        """
        worked = 0
        while found := await self._run_once() + await self._firing.fire_due():
            worked += found
        return worked

    def table(self, projection: str) -> Mapping[str, State]:
        """The states of a projection by key. Raises KeyError when there is no such projection."""
        table = self._tables[projection]
        return {key: Entry.decode(value).state for key, value in table.items()}

    def _subscription(self, workload: Workload) -> "_Subscription":
        given = self._edges
        return _Subscription(
            topics=(*workload.event_topics(self._catalog), *workload.repartition_topics()),
            processor=AppProcessor(
                workload,
                Edges(
                    publisher=EventPublisher(
                        self._catalog, given.codec, self._sender, given.schemas
                    ),
                    sender=self._sender,
                    factory=EventFactory(self._catalog, workload.app, clock=given.clock),
                    reading=EventReading(given.codec, given.schemas, workload.wants),
                    attempts=Attempts(RetrySchedule(), given.sleep),
                    clock=given.clock,
                ),
                self._tables if workload.subscription == MAIN else {},
            ),
        )

    async def _run_once(self) -> int:
        worked = 0
        for subscription in self._subscriptions:
            for topic in subscription.topics:
                for source in self._log.partitions(topic):
                    worked += await self._work_on(subscription, source)
        return worked

    async def _work_on(self, subscription: "_Subscription", source: TopicPartition) -> int:
        records = self._log.records(source, subscription.positions.get(source, 0))
        if records:
            await subscription.processor.process(source, records)
            subscription.positions[source] = records[-1].offset + 1
        return len(records)


@dataclass(frozen=True, slots=True)
class _Given:
    """What all subscriptions of a worker stand on."""

    codec: Codec
    schemas: MemoryWriterSchemas
    clock: Callable[[], datetime]
    sleep: Sleep


@dataclass(slots=True, kw_only=True)
class _Subscription:
    """What one subscription works on, and how far it is."""

    topics: Sequence[str]
    processor: AppProcessor
    positions: dict[TopicPartition, int] = field(default_factory=dict)
