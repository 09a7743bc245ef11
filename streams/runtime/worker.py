"""One worker process: builds the edges of an app's or the platform's subscription and runs it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.event import EventFactory, system_clock
from schemas.topics import all_events_topics
from streams.app import MAIN, App
from streams.attempts import Attempts
from streams.impatient_schemas import ImpatientSchemas
from streams.journal import FileJournal
from streams.kafka.reader import KafkaReader
from streams.kafka.schema_topic import KafkaWriterSchemas
from streams.kafka.sender import KafkaSender
from streams.log import RecordSender
from streams.platform.processor import (
    PLATFORM_APP,
    PLATFORM_SUBSCRIPTION,
    PlatformEdges,
    PlatformProcessor,
)
from streams.processor import AppProcessor, Edges
from streams.publisher import NO_JOURNAL, EventPublisher, Journal
from streams.reading import EventReading
from streams.retry import RetrySchedule
from streams.runtime.lease import LeasedSender
from streams.runtime.member import GroupMember
from streams.runtime.patience import PatientSender
from streams.runtime.preflight import check_topics
from streams.runtime.running import Subscription, WorkerSettings, run_subscription
from streams.settings import KafkaSettings
from streams.turns import Turns
from streams.workload import Workload
from streams.writer_schemas import WriterSchemas


@dataclass(frozen=True, slots=True, kw_only=True)
class _Connections:
    """What every worker has: the catalog and the ways to Kafka."""

    catalog: Catalog
    codec: Codec
    sender: RecordSender
    schemas: WriterSchemas
    attempts: Attempts


async def run_app_worker(app: App, settings: WorkerSettings, stop: asyncio.Event) -> None:
    """Run the app's subscription until `stop`.

    Raises BrokerUnavailable, TopicMissing, PartitionMismatch, or WorkerFailed.
    """
    # The sender drains into the journal when it closes.
    with _journal(settings.journal) as journal:
        async with _connections(settings.kafka, app.outages) as connections:
            workload = app.workload(MAIN)
            turns = Turns()
            subscription = Subscription(
                app=app.name,
                name=MAIN,
                topics=(
                    *workload.event_topics(connections.catalog),
                    *workload.repartition_topics(),
                ),
                tables=workload.changelogs(),
                concurrency=workload.concurrency,
            )
            await _check(subscription, settings.kafka)
            member = _member(subscription, settings)
            sender = LeasedSender(connections.sender, member.lease)
            edges = _app_edges(workload, connections, sender, journal, turns)
            processor = AppProcessor(workload, edges, member.tables)
            await run_subscription(subscription, member, processor, turns, settings, stop)


async def run_platform_worker(settings: WorkerSettings, stop: asyncio.Event) -> None:
    """Run archive and route until `stop`. Raises as `run_app_worker`."""
    subscription = Subscription(
        app=PLATFORM_APP, name=PLATFORM_SUBSCRIPTION, topics=all_events_topics(), tables={}
    )
    async with _connections(settings.kafka) as connections:
        await _check(subscription, settings.kafka)
        member = _member(subscription, settings)
        processor = PlatformProcessor(
            PlatformEdges(
                catalog=connections.catalog,
                codec=connections.codec,
                schemas=connections.schemas,
                sender=LeasedSender(connections.sender, member.lease),
                attempts=connections.attempts,
                clock=system_clock,
            )
        )
        await run_subscription(subscription, member, processor, Turns(), settings, stop)


@asynccontextmanager
async def _connections(
    kafka: KafkaSettings, outages: tuple[type[BaseException], ...] = ()
) -> AsyncIterator[_Connections]:
    """Edges that are let go of in the reverse order, also when the start fails half way."""
    catalog = Catalog.load()
    codec = Codec(catalog)
    attempts = Attempts(RetrySchedule(), outages=outages)
    # Workers wait for a broker that is away: only callers who can publish again may give up.
    kafka = replace(kafka, acknowledge_timeout_s=None)
    async with AsyncExitStack() as open_edges:
        connected = KafkaSender(kafka)
        open_edges.push_async_callback(connected.close)
        await connected.start()
        sender = PatientSender(connected, attempts)
        logged = KafkaWriterSchemas(kafka, sender, codec)
        open_edges.push_async_callback(logged.close)
        schemas = ImpatientSchemas(logged)
        yield _Connections(
            catalog=catalog, codec=codec, sender=sender, schemas=schemas, attempts=attempts
        )


def _app_edges(
    workload: Workload,
    connections: _Connections,
    sender: RecordSender,
    journal: Journal,
    turns: Turns,
) -> Edges:
    return Edges(
        publisher=EventPublisher(
            connections.catalog, connections.codec, sender, connections.schemas, journal
        ),
        sender=sender,
        factory=EventFactory(connections.catalog, workload.app),
        reading=EventReading(connections.codec, connections.schemas, workload.wants),
        attempts=connections.attempts,
        clock=system_clock,
        pace=turns,
    )


def _member(subscription: Subscription, settings: WorkerSettings) -> GroupMember:
    return GroupMember(
        subscription.group,
        replace(settings.kafka, client_id=f"{settings.kafka.client_id}-{subscription.group}"),
        settings.data_dir,
        subscription.tables,
    )


async def _check(subscription: Subscription, kafka: KafkaSettings) -> None:
    topics = (*subscription.topics, *subscription.tables.values())
    await check_topics(KafkaReader(kafka, topics), kafka.partitions)


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
