"""What may be wrong with what runs: groups, processes, relay, sink, failures, schemas, projections.

Changes nothing. A check that cannot look says why, and does not end the rest.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from connectors.errors import NotMigrated
from connectors.postgres.database import Database
from connectors.postgres.outbox import PostgresOutbox
from connectors.postgres.projection_store import PostgresProjectionStore
from connectors.postgres.store_health import store_health
from connectors.projection_store import KnownProjection, Version
from connectors.settings import PostgresSettings
from connectors.whole_topic import WholeTopic, read_whole
from infra.application import recorded_application
from infra.checks.failures import failure_findings, unread_findings
from infra.checks.groups import group_findings
from infra.checks.processes import Answer, answer_findings, ask_all, paused_groups
from infra.checks.projections import projection_findings
from infra.checks.schemas import announced_findings, file_findings
from infra.checks.store import relay_findings, store_findings
from infra.finding import Finding, not_examined
from infra.groups import read_groups
from infra.process_pages import noted_processes
from infra.settings import Settings
from infra.stack.endpoints import Endpoints
from infra.stack.local import absolute
from infra.topics import partition_counts, topic_ids
from schemas.catalog import Catalog, WriterSchema
from schemas.check import all_faults
from schemas.errors import InvalidWriterSchema, WundrError
from schemas.topics import SCHEMAS_TOPIC, STORE_EVENTS
from streams.failures import is_failure_topic, standing
from streams.kafka.fetcher import KafkaFetcher
from streams.kafka.reader import KafkaReader
from streams.records import RawRecord
from streams.settings import KafkaSettings

LOOK_AGAIN_S: Final = 2.0
"""Between the two looks at the groups: what is worked on has moved by then."""

MOST_RECORDS: Final = 100_000
"""Failed events of an app, or schemas, that are read for a quick look."""

STATEMENT_S: Final = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What is examined."""

    settings: Settings
    kafka: KafkaSettings
    postgres: PostgresSettings
    catalog: Catalog
    answers: Sequence[Answer]
    """What the processes say, asked once: one check must not contradict another."""


def service_findings(settings: Settings, endpoints: Endpoints) -> Iterator[Finding]:
    """All checks of what runs, each as soon as it is known."""
    services = Services(
        settings=settings,
        kafka=KafkaSettings(
            bootstrap=endpoints.kafka_bootstrap,
            partitions=settings.partitions,
            client_id="wundr-doctor",
        ),
        postgres=PostgresSettings(dsn=endpoints.postgres_dsn, statement_timeout_s=STATEMENT_S),
        catalog=Catalog.load(),
        answers=asyncio.run(_answers(settings)),
    )
    checks: Sequence[tuple[str, Callable[[Services], Awaitable[list[Finding]]]]] = (
        ("processes", _processes),
        ("groups", _groups),
        ("relay", _relay),
        ("store", _store),
        ("dead letters", _failures),
        ("schemas", _schemas),
        ("projections", _projections),
    )
    for name, check in checks:
        try:
            yield from asyncio.run(_awaited(check(services)))
        except NotMigrated:
            yield Finding(check=name, message="no tables yet: the first sink or relay makes them")
        except WundrError as error:
            yield not_examined(name, error)


async def _awaited(check: Awaitable[list[Finding]]) -> list[Finding]:
    return await check


async def _answers(settings: Settings) -> list[Answer]:
    state_dir = absolute(settings.state_dir)
    return await ask_all(recorded_application(state_dir), noted_processes(state_dir))


async def _processes(services: Services) -> list[Finding]:
    return list(answer_findings(services.answers))


async def _groups(services: Services) -> list[Finding]:
    bootstrap = services.kafka.bootstrap
    before = await asyncio.to_thread(read_groups, bootstrap)
    await asyncio.sleep(LOOK_AGAIN_S)
    after = await asyncio.to_thread(read_groups, bootstrap)
    return list(group_findings(before, after, paused_groups(services.answers)))


async def _relay(services: Services) -> list[Finding]:
    async with Database(services.postgres) as database:
        outbox = PostgresOutbox(settings=services.postgres, database=database)
        return list(relay_findings(await outbox.delay()))


async def _store(services: Services) -> list[Finding]:
    topic_id = topic_ids(services.kafka.bootstrap, [STORE_EVENTS])[STORE_EVENTS]
    async with Database(services.postgres) as database:
        health = await store_health(database)
    reader = KafkaReader(services.kafka, (STORE_EVENTS,))
    try:
        await reader.start()
        ends = {source.partition: end for source, end in (await reader.end()).items()}
    finally:
        await reader.close()
    return list(store_findings(health, topic_id, ends))


async def _failures(services: Services) -> list[Finding]:
    topics = partition_counts(services.kafka.bootstrap)
    records: list[RawRecord] = []
    unread: dict[str, int] = {}
    async for topic, whole in _whole(services, sorted(filter(is_failure_topic, topics))):
        if whole.records is None:
            unread[topic] = whole.length
        else:
            records += whole.records
    now_ms = time.time_ns() // 1_000_000
    return [*failure_findings(standing(records), now_ms), *unread_findings(unread)]


async def _schemas(services: Services) -> list[Finding]:
    findings = list(file_findings(all_faults()))
    async for _, whole in _whole(services, [SCHEMAS_TOPIC]):
        findings += announced_findings(services.catalog, _announced(whole.records or ()))
    return findings


async def _projections(services: Services) -> list[Finding]:
    async with Database(services.postgres) as database:
        store = PostgresProjectionStore(database)
        found: list[tuple[KnownProjection, Version]] = [
            (known, version)
            for known in await store.find()
            for version in await store.versions(known.app, known.name)
        ]
    return list(projection_findings(found))


async def _whole(
    services: Services, topics: Sequence[str]
) -> AsyncIterator[tuple[str, WholeTopic]]:
    for topic in topics:
        reader = KafkaReader(services.kafka, (topic,))
        yield topic, await read_whole(reader, lambda: KafkaFetcher(services.kafka), MOST_RECORDS)


def _announced(records: Sequence[RawRecord]) -> list[WriterSchema]:
    """The last schema under each id; what is none says so by itself, to whoever reads an event."""
    texts = {record.key: record.value for record in records}
    found = []
    for text in texts.values():
        try:
            found.append(WriterSchema.from_json((text or b"").decode(errors="replace")))
        except InvalidWriterSchema:
            continue
    return found
