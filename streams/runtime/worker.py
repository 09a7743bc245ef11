"""One worker process: builds the edges of an app's or the platform's subscriptions, runs them."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
)
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.event import EventFactory, system_clock
from schemas.topics import CONTROL_TOPIC, all_events_topics, dead_letter_topic, retry_topic
from streams.alerts import Alerts, raised_alerts
from streams.app import App
from streams.attempts import Attempts
from streams.breaker_events import BreakerEvents, ProcessId
from streams.breakers import Breakers, breaker_key
from streams.control import Control
from streams.edges import Edges
from streams.impatient_schemas import ImpatientSchemas
from streams.journal import FileJournal
from streams.kafka.fetcher import KafkaFetcher
from streams.kafka.group_progress import KafkaGroupProgress
from streams.kafka.offsets import committed_offsets
from streams.kafka.reader import KafkaReader
from streams.kafka.schema_topic import KafkaWriterSchemas
from streams.kafka.sender import KafkaSender
from streams.letter_counts import LetterCounts
from streams.log import RecordSender
from streams.pages import Pages
from streams.parking.listener import AllListen, NobodyListens, ParkingListener
from streams.parking.loading import held_back
from streams.parking.lot import LotEdges, ParkingLot
from streams.parking.orders import order_prefix, take_order
from streams.platform.processor import (
    PLATFORM_APP,
    PLATFORM_GROUP,
    PLATFORM_SUBSCRIPTION,
    PlatformEdges,
    PlatformProcessor,
)
from streams.processor import AppProcessor
from streams.publisher import NO_JOURNAL, EventPublisher, Journal
from streams.reading import EventReading
from streams.rebuilding import RebuildEdges, TableRebuild
from streams.retry import RetrySchedule
from streams.runtime.collecting import collect_garbage_less_often
from streams.runtime.errors import NoSuchSubscription
from streams.runtime.health import Run
from streams.runtime.lease import LeasedSender
from streams.runtime.member import GroupMember, Membership
from streams.runtime.patience import PatientSender
from streams.runtime.preflight import check_topics
from streams.runtime.projection_pages import StoredProjections
from streams.runtime.running import (
    Subscription,
    WorkerSettings,
    Workings,
    pages_of,
    prepared,
    run_all,
)
from streams.sagas.handling import StepJournal, StepListener, no_listener
from streams.sagas.intake import GroupIntake, Intake
from streams.sagas.numbers import DeadlineNumbers
from streams.sagas.running import SagaRunning
from streams.sagas.store import SagaStore
from streams.traced import traced_sender, traced_workload
from streams.tracing import Tracing
from streams.turns import Turns
from streams.work_metrics import WorkMetrics
from streams.workload import FaustSetup, Workload
from streams.writer_schemas import WriterSchemas


@dataclass(frozen=True, slots=True, kw_only=True)
class _Connections:
    """What all subscriptions of a worker share: the catalog and the ways to Kafka."""

    catalog: Catalog
    codec: Codec
    sender: KafkaSender
    schemas: WriterSchemas
    outages: tuple[type[BaseException], ...]
    breakers: Breakers
    control: Control
    listener: ParkingListener = field(default_factory=NobodyListens)


async def run_app_worker(
    app: App,
    settings: WorkerSettings,
    stop: asyncio.Event,
    stored: StoredProjections | None = None,
    sagas: SagaStore | None = None,
) -> None:
    """Run the app's subscriptions until `stop`; its pages read `stored` projections, too.

    `sagas` keeps the courses of its sagas. Raises BrokerUnavailable, TopicMissing,
    PartitionMismatch, NoSuchSubscription, LanesNeedNoTables, SagaStoreMissing, or WorkerFailed.
    """
    workloads = [app.workload(name) for name in _chosen(app, settings.subscriptions)]
    collect_garbage_less_often()
    # The sender drains into the journal when it closes.
    with _journal(settings.journal) as journal:
        async with (
            _connections(settings, app.outages) as connections,
            _alerts(app.name, connections, journal, settings) as alerts,
        ):
            turns = Turns()
            running = _sagas(app, sagas, connections, journal, settings)
            told = replace(connections, listener=alerts)
            runs = [
                _prepared(workload, told, journal, turns, settings)
                for workload in complete(workloads, running, settings.tracing)
            ]
            topics = {topic for run in runs for topic in run.member.topics}
            topics |= {retry_topic(app.name), dead_letter_topic(app.name)}
            await _check_topics(settings, topics)
            workings = Workings(
                app=app.name,
                runs=runs,
                breakers=connections.breakers,
                control=connections.control,
                deadlines=DeadlineNumbers(running.statuses),
            )
            async with _steered(workings, connections), running.firing(stop):
                await run_all(workings, settings, stop, _pages(workings, connections), stored)


def complete(
    workloads: Sequence[Workload], sagas: SagaRunning, tracing: Tracing | None
) -> Sequence[Workload]:
    """The workloads with the handlers of their sagas, each with a span for its tries.

    Raises SagaStoreMissing.
    """
    return [traced_workload(sagas.prepared(workload), tracing) for workload in workloads]


async def run_platform_worker(settings: WorkerSettings, stop: asyncio.Event) -> None:
    """Run archive and route until `stop`. Raises as `run_app_worker`."""
    collect_garbage_less_often()
    subscription = Subscription(
        app=PLATFORM_APP, name=PLATFORM_SUBSCRIPTION, topics=all_events_topics()
    )
    metrics = WorkMetrics(subscription.group)
    async with (
        _connections(settings) as connections,
        _alerts(PLATFORM_APP, connections, NO_JOURNAL, settings) as alerts,
    ):
        member = _member(subscription, settings)
        attempts = Attempts(RetrySchedule())
        sender = LeasedSender(PatientSender(connections.sender, attempts), member.lease)
        told = replace(connections, listener=alerts)
        lot = _lot(PLATFORM_APP, sender, metrics, told)
        processor = PlatformProcessor(
            PlatformEdges(
                catalog=connections.catalog,
                codec=connections.codec,
                schemas=connections.schemas,
                sender=sender,
                attempts=attempts,
                parking=lot,
                metrics=metrics,
            )
        )
        run = prepared(subscription, member, processor, lot, Turns(), metrics)
        topics = {*member.topics, retry_topic(PLATFORM_APP), dead_letter_topic(PLATFORM_APP)}
        await _check_topics(settings, topics)
        workings = Workings(app=PLATFORM_APP, runs=[run], control=connections.control)
        async with _steered(workings, connections):
            await run_all(workings, settings, stop, _pages(workings, connections))


def _pages(workings: Workings, connections: _Connections) -> Pages:
    pages = pages_of(workings, [known.name for known in connections.catalog.types()])
    pages.metrics.add(connections.sender)
    return pages


@asynccontextmanager
async def _steered(workings: Workings, connections: _Connections) -> AsyncIterator[None]:
    """Orders that stand are followed before the work begins, and breakers tell what they do."""
    assert workings.control is not None
    process = ProcessId(app=workings.app, host=socket.gethostname(), pid=os.getpid())
    publisher = EventPublisher(
        connections.catalog,
        connections.codec,
        PatientSender(connections.sender, Attempts(RetrySchedule())),
        connections.schemas,
    )
    events = BreakerEvents(process, publisher, EventFactory(connections.catalog, workings.app))
    workings.breakers.listen(events)
    workings.control.orders.listen(breaker_key(workings.app, ""), workings.breakers.ordered)
    await workings.control.start()
    events.start()
    try:
        yield
    finally:
        await workings.control.close()
        await events.close()


async def _check_topics(settings: WorkerSettings, topics: Collection[str]) -> None:
    reader = KafkaReader(settings.kafka, [*sorted(topics), CONTROL_TOPIC])
    await check_topics(reader, settings.kafka.partitions)


def _chosen(app: App, names: Sequence[str]) -> Sequence[str]:
    known = app.subscriptions()
    for name in names:
        if name not in known:
            raise NoSuchSubscription(
                f"{app.name} has no subscription {name!r}, only {', '.join(known)}"
            )
    return names or known


def _prepared(
    workload: Workload,
    connections: _Connections,
    journal: Journal,
    turns: Turns,
    settings: WorkerSettings,
) -> Run:
    subscription = _subscription(workload, connections.catalog, settings)
    member = _member(subscription, settings, workload.faust_setups)
    attempts = Attempts(RetrySchedule(), outages=connections.outages)
    leased = LeasedSender(PatientSender(connections.sender, attempts), member.lease)
    metrics = WorkMetrics(workload.group)
    lot = _lot(workload.app, leased, metrics, connections)
    sender = traced_sender(leased, settings.tracing)
    edges = Edges(
        publisher=EventPublisher(
            connections.catalog, connections.codec, sender, connections.schemas, journal
        ),
        sender=sender,
        factory=EventFactory(connections.catalog, workload.app),
        reading=EventReading(connections.codec, connections.schemas, workload.wants),
        attempts=attempts,
        clock=system_clock,
        parking=lot,
        pace=turns,
        breakers=connections.breakers,
        metrics=metrics,
    )
    if workload.projections:
        member.rebuild_by(_rebuild(workload, edges, settings).rebuild)
    processor = AppProcessor(workload, edges, member.tables)
    run = prepared(subscription, member, processor, lot, turns, metrics)
    return replace(run, time_limits={it.name: it.deadline_s for it in workload.reactions})


def _subscription(workload: Workload, catalog: Catalog, settings: WorkerSettings) -> Subscription:
    subscription = Subscription(
        app=workload.app,
        name=workload.subscription,
        topics=(*workload.event_topics(catalog), *workload.repartition_topics()),
        tables=workload.changelogs(),
        concurrency=workload.concurrency,
    )
    return replace(subscription, topics=subscription.topics_of(settings.lanes))


def _alerts(
    app: str, connections: _Connections, journal: Journal, settings: WorkerSettings
) -> AbstractAsyncContextManager[Alerts]:
    """Who tells of failing events; its events are the app's."""
    sender = PatientSender(connections.sender, Attempts(RetrySchedule()))
    publisher = EventPublisher(
        connections.catalog, connections.codec, sender, connections.schemas, journal
    )
    factory = EventFactory(connections.catalog, app)
    return raised_alerts(publisher, factory, connections.codec, settings.alert_hooks)


def _lot(
    app: str, sender: RecordSender, metrics: WorkMetrics, connections: _Connections
) -> ParkingLot:
    """The parking lot of a subscription, which hears of the orders about its letters."""
    listener = AllListen((LetterCounts(metrics), connections.listener))
    edges = LotEdges(sender=sender, clock=system_clock, listener=listener)
    lot = ParkingLot(app, metrics.subscription, edges)
    metrics.parked = lambda: lot.backlog
    metrics.dead = lambda: lot.dead_letters
    connections.control.orders.listen(order_prefix(app), partial(take_order, lot))
    return lot


def _rebuild(workload: Workload, edges: Edges, settings: WorkerSettings) -> TableRebuild:
    kafka = settings.kafka
    return TableRebuild(
        workload,
        kafka.partitions,
        PLATFORM_GROUP,
        RebuildEdges(
            reading=edges.reading,
            sender=edges.sender,
            open_fetcher=lambda: KafkaFetcher(kafka),
            committed=partial(committed_offsets, kafka),
            held_back=partial(
                held_back, partial(KafkaFetcher, kafka), workload.app, workload.group
            ),
        ),
    )


@asynccontextmanager
async def _connections(
    settings: WorkerSettings, outages: tuple[type[BaseException], ...] = ()
) -> AsyncIterator[_Connections]:
    """Edges that are let go of in the reverse order, also when the start fails half way."""
    catalog = Catalog.load()
    codec = Codec(catalog, keys=settings.keys, upcasts=True)
    # Workers wait for a broker that is away: only callers who can publish again may give up.
    kafka = replace(settings.kafka, acknowledge_timeout_s=None)
    async with AsyncExitStack() as open_edges:
        sender = KafkaSender(kafka)
        open_edges.push_async_callback(sender.close)
        await sender.start()
        patient = PatientSender(sender, Attempts(RetrySchedule()))
        logged = KafkaWriterSchemas(kafka, patient, codec)
        open_edges.push_async_callback(logged.close)
        yield _Connections(
            catalog=catalog,
            codec=codec,
            sender=sender,
            schemas=ImpatientSchemas(logged),
            outages=outages,
            breakers=Breakers(),
            control=Control(lambda: KafkaFetcher(settings.kafka)),
        )


def _member(
    subscription: Subscription, settings: WorkerSettings, setups: Sequence[FaustSetup] = ()
) -> GroupMember:
    kafka = replace(settings.kafka, client_id=f"{settings.kafka.client_id}-{subscription.group}")
    membership = Membership(
        kafka=kafka,
        data_dir=settings.data_dir,
        instance=settings.instance,
        store=settings.store,
        log_ids=settings.log_ids,
        recovery_deadline_s=settings.recovery_deadline_s,
        rebuilds_tables=settings.rebuilds_tables,
    )
    return GroupMember(subscription.group, membership, subscription.tables, setups)


def _sagas(
    app: App,
    store: SagaStore | None,
    connections: _Connections,
    journal: Journal,
    settings: WorkerSettings,
) -> SagaRunning:
    return SagaRunning(
        app.name,
        connections.catalog,
        store,
        _step_listener(journal, connections.codec),
        partial(_intake, connections.catalog, settings),
    )


def _intake(catalog: Catalog, settings: WorkerSettings, workload: Workload) -> Intake:
    """What the workers of a saga have taken in, all of them together."""
    topics = workload.event_topics(catalog)
    return GroupIntake(KafkaGroupProgress(settings.kafka, workload.group, topics), system_clock)


def _step_listener(journal: Journal, codec: Codec) -> StepListener:
    """What goes out with the steps of sagas is written down as what is appended is."""
    return StepJournal(journal, codec) if isinstance(journal, FileJournal) else no_listener


@contextmanager
def _journal(path: Path | None) -> Iterator[Journal]:
    if path is None:
        yield NO_JOURNAL
        return
    journal = FileJournal(path)
    try:
        yield journal
    finally:
        journal.close()
