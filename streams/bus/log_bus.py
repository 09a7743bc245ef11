"""The bus over any log: what the Kafka bus and the bus in process have in common."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any

from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.errors import UnknownEventType
from schemas.event import Event, EventFactory, system_clock
from schemas.key_ring import KeyRing
from streams.app import App
from streams.attempts import Attempts, Sleep
from streams.bus.port import Subscription
from streams.edges import Edges
from streams.errors import DuplicateName, UnknownSubscription
from streams.event_store import StoredEvents
from streams.group_pump import GroupPump
from streams.handler import HandlerFunction
from streams.log import AssignmentListener, GroupReader, PartitionFetcher, RecordSender
from streams.parking.lot import LotEdges, ParkingLot
from streams.parking.redoing import Redoing
from streams.policies import DeadLetter, Retry, TimeOut, Trace
from streams.processor import AppProcessor
from streams.publisher import NO_JOURNAL, EventPublisher, Journal
from streams.reading import EventReading
from streams.receipt import Receipt
from streams.retry import RetrySchedule
from streams.schema_log import LoggedWriterSchemas
from streams.workload import Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class BusOptions:
    """What a bus may be told beside its log: tries of a failing handler, journal, clock, keys."""

    schedule: RetrySchedule = field(default_factory=RetrySchedule)
    journal: Journal = NO_JOURNAL
    clock: Callable[[], datetime] = system_clock
    sleep: Sleep = asyncio.sleep
    keys: KeyRing | None = None
    """What personal fields are sealed with and opened; without, neither happens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BusLog:
    """A log as a bus needs it. `open_reader` makes a member of a group that begins at the end."""

    codec: Codec
    sender: RecordSender
    schemas: LoggedWriterSchemas
    stored: StoredEvents
    open_reader: Callable[[str, Sequence[str], AssignmentListener], GroupReader]
    open_fetcher: Callable[[], PartitionFetcher]


class LogBus:
    """Implements EventBus for one app."""

    def __init__(self, app: str, catalog: Catalog, log: BusLog, options: BusOptions) -> None:
        self._app = app
        self._catalog = catalog
        self._log = log
        self._options = options
        self._publisher = EventPublisher(
            catalog, log.codec, log.sender, log.schemas, options.journal
        )
        self._pumps: dict[Subscription, GroupPump] = {}

    async def publish(self, event: Event[Any]) -> Receipt:
        """See EventBus."""
        return await self._publisher.publish(event)

    async def publish_batch(self, events: Sequence[Event[Any]]) -> list[Receipt]:
        """See EventBus."""
        return await self._publisher.publish_batch(events)

    async def subscribe(
        self, pattern: str, handler: HandlerFunction, *, name: str | None = None
    ) -> Subscription:
        """See EventBus. Raises InvalidPattern, HandlerMismatch, DuplicateName, UnknownEventType."""
        app = App(self._app)
        policies = (TimeOut(), Retry.of(self._options.schedule), DeadLetter(), Trace())
        if name is None:
            app.on(pattern, policies=policies)(handler)
        else:
            app.on(pattern, policies=policies, name=name)(handler)
        subscription = Subscription(app=self._app, name=app.handlers[0].name, pattern=pattern)
        if any(known.name == subscription.name for known in self._pumps):
            raise DuplicateName(f"this bus has a subscription {subscription.name!r} already")
        workload = replace(app.workload(), subscription=subscription.name)
        topics = workload.event_topics(self._catalog)
        if not topics:
            raise UnknownEventType(pattern)
        lot = ParkingLot(
            self._app,
            subscription.group,
            LotEdges(sender=self._log.sender, clock=self._options.clock),
        )
        processor = self._processor(workload, lot)
        pump = GroupPump(
            processor,
            lambda listener: self._log.open_reader(subscription.group, topics, listener),
            partial(Redoing, lot, processor, self._log.open_fetcher),
        )
        self._pumps[subscription] = pump
        try:
            await pump.start()
        except BaseException:
            del self._pumps[subscription]
            raise
        return subscription

    async def unsubscribe(self, subscription: Subscription) -> None:
        """See EventBus."""
        pump = self._pump(subscription)
        del self._pumps[subscription]
        await pump.stop()

    async def watch(self, subscription: Subscription) -> None:
        """See EventBus."""
        await self._pump(subscription).watch()

    async def get_events(
        self,
        aggregate_id: str,
        from_version: int | None = None,
        *,
        aggregate_type: str | None = None,
    ) -> list[Event[Any]]:
        """See EventBus."""
        return await self._log.stored.get_events(aggregate_type, aggregate_id, from_version)

    async def get_events_by_correlation(self, correlation_id: str) -> list[Event[Any]]:
        """See StoredEvents."""
        return await self._log.stored.get_events_by_correlation(correlation_id)

    async def close(self) -> None:
        """See EventBus. Lets go of everything, then raises the first thing that went wrong."""
        closing: list[Callable[[], Awaitable[None]]] = [pump.stop for pump in self._pumps.values()]
        self._pumps.clear()
        outcomes = await asyncio.gather(*(stop() for stop in closing), return_exceptions=True)
        for close in (self._log.schemas.close, self._log.sender.close):
            outcomes += await asyncio.gather(close(), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome

    def _pump(self, subscription: Subscription) -> GroupPump:
        if subscription not in self._pumps:
            raise UnknownSubscription(f"{subscription.group} is not subscribed on this bus")
        return self._pumps[subscription]

    def _processor(self, workload: Workload, lot: ParkingLot) -> AppProcessor:
        edges = Edges(
            publisher=self._publisher,
            sender=self._log.sender,
            factory=EventFactory(self._catalog, workload.app, clock=self._options.clock),
            reading=EventReading(self._log.codec, self._log.schemas, workload.wants),
            attempts=Attempts(self._options.schedule, self._options.sleep),
            clock=self._options.clock,
            parking=lot,
        )
        return AppProcessor(workload, edges, {})
