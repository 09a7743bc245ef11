"""A worker in process: runs an app's handlers, projections and sagas without a broker, by steps.

The same processor as in production works on a MemoryLog; nothing runs in the background, so each
event is handled when `run_until_idle` returns.
"""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial

from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.event import EventFactory, system_clock
from schemas.key_ring import KeyRing
from streams.app import MAIN, App
from streams.attempts import Attempts, Sleep
from streams.edges import Edges
from streams.memory.fetcher import MemoryFetcher
from streams.memory.log import MemoryLog, MemorySender
from streams.memory.sagas import MemorySagaStore
from streams.memory.schemas import MemoryWriterSchemas
from streams.parking.lot import LotEdges, ParkingLot
from streams.parking.redoing import Redoing
from streams.processor import AppProcessor
from streams.projection import Entry, State
from streams.publisher import EventPublisher
from streams.reading import EventReading
from streams.records import TopicPartition
from streams.retry import RetrySchedule
from streams.sagas.running import SagaRunning
from streams.table import MemoryTable
from streams.workload import Workload


class _AppOf(App):
    """An app that is nothing but one of its subscriptions."""

    def __init__(self, workload: Workload) -> None:
        super().__init__(workload.app)
        self._workload = workload

    def workload(self, subscription: str = MAIN) -> Workload:
        """See App."""
        return self._workload


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
        self._log = log
        self.sagas = MemorySagaStore(log, catalog, Codec(catalog, keys=keys), clock=clock)
        self._running = SagaRunning(app.name, catalog, self.sagas)
        alike = partial(MemoryWorker, log=log, catalog=catalog, clock=clock, sleep=sleep, keys=keys)
        self._beside = [alike(_AppOf(workload)) for workload in self._running.workloads(app)]
        workload = app.workload()
        self._topics = (*workload.event_topics(catalog), *workload.repartition_topics())
        self._positions: dict[TopicPartition, int] = {}
        self._tables = {
            name: MemoryTable(changelog) for name, changelog in workload.changelogs().items()
        }
        codec = Codec(catalog, keys=keys, upcasts=True)
        sender = MemorySender(log)
        self._lot = ParkingLot(app.name, workload.group, LotEdges(sender=sender, clock=clock))
        schemas = MemoryWriterSchemas(log, codec)
        self._processor = AppProcessor(
            workload,
            Edges(
                publisher=EventPublisher(catalog, codec, sender, schemas),
                sender=sender,
                factory=EventFactory(catalog, app.name, clock=clock),
                reading=EventReading(codec, schemas, workload.wants),
                attempts=Attempts(RetrySchedule(), sleep),
                clock=clock,
                parking=self._lot,
            ),
            self._tables,
        )
        self._redoing = Redoing(self._lot, self._processor, lambda: MemoryFetcher(log), _raise)

    async def run_until_idle(self) -> int:
        """Work on everything in the log, and on what that brings about; how many records it was.

        Nobody waits for another try: what waits is due at once. Deadlines of sagas that are due by
        the clock pass, too, once their sagas have taken in what is in the log: a reply that is
        there wins.
        """
        worked = 0
        while found := await self._run_once() + await self._run_sagas() or await self._redo_once():
            worked += found
        return worked

    def table(self, projection: str) -> Mapping[str, State]:
        """The states of a projection by key. Raises KeyError when there is no such projection."""
        table = self._tables[projection]
        return {key: Entry.decode(value).state for key, value in table.items()}

    async def _redo_once(self) -> int:
        self._lot.hasten()
        return await self._redoing.redo_due()

    async def _run_sagas(self) -> int:
        worked = sum([await beside.run_until_idle() for beside in self._beside])
        return worked + await self._running.fire_due()

    async def _run_once(self) -> int:
        worked = 0
        for topic in self._topics:
            for source in self._log.partitions(topic):
                records = self._log.records(source, self._positions.get(source, 0))
                if records:
                    await self._processor.process(source, records)
                    self._positions[source] = records[-1].offset + 1
                    worked += len(records)
        return worked


def _raise(error: BaseException) -> None:
    raise error
