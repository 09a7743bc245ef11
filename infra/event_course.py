"""The course of a stored event on the running stack: Postgres, Kafka, and the known apps."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from connectors.errors import EventNotFound
from connectors.event_evidence import EvidenceSearch, Found
from connectors.postgres.database import Database
from connectors.postgres.event_places import PostgresEventPlaces
from connectors.postgres.event_store import PostgresEventStore
from connectors.postgres.projection_store import PostgresProjectionStore
from connectors.settings import PostgresSettings
from infra.topics import partition_counts
from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.event import Event
from streams.app import App
from streams.failures import is_failure_topic
from streams.kafka.fetcher import KafkaFetcher
from streams.kafka.offsets import committed_offsets
from streams.kafka.reader import KafkaReader
from streams.kafka.schema_topic import open_schemas
from streams.progress_evidence import (
    Checkpoints,
    Placed,
    groups_of,
    names_of,
    progress_sightings,
    row_sightings,
)
from streams.records import Origin
from streams.settings import KafkaSettings
from streams.timeline import Evidence, Timeline, timeline


@dataclass(frozen=True, slots=True, kw_only=True)
class CoursePlan:
    """Which Kafka and which Postgres to ask, and about which apps."""

    kafka: KafkaSettings
    postgres: PostgresSettings
    catalog: Catalog
    apps: Sequence[App]


async def course_of(plan: CoursePlan, event_id: str) -> Timeline:
    """All that is known of an event, of what led to it and of what it brought about.

    Raises EventNotFound, DatabaseUnavailable, BrokerUnavailable.
    """
    events = await _caused_events(plan, event_id)
    found = await _search(plan, events)
    archived = [Placed(it, found.archived[it.id]) for it in events if it.id in found.archived]
    committed = {
        group: await committed_offsets(plan.kafka, group) for group in groups_of(plan.apps)
    }
    placed = [Placed(it, found.origins[it.id]) for it in events if it.id in found.origins]
    failed = {(str(it.event_id), it.group, it.handler) for it in found.failed}
    evidence = Evidence(
        sightings=[
            *found.sightings,
            *progress_sightings(placed, plan.apps, committed, failed),
            *row_sightings(archived, plan.apps, await _checkpoints(plan)),
        ],
        emitters=found.emitters,
        names=names_of(plan.apps),
        unsearched=found.unsearched,
    )
    return timeline(events, event_id, evidence)


async def place_of(plan: CoursePlan, event_id: str) -> tuple[Event[Any], Origin | None]:
    """A stored event and its place in `events.*`, None before it has come back from Kafka."""
    async with Database(plan.postgres) as database:
        async with _stored(plan, database) as stored:
            event = await stored.get_event(event_id)
        search = _evidence(plan, database)
        found = await search.run([event], [])
    return event, found.origins.get(event_id)


async def _caused_events(plan: CoursePlan, event_id: str) -> list[Event[Any]]:
    async with Database(plan.postgres) as database, _stored(plan, database) as stored:
        events = await stored.get_events_by_causation(event_id)
    if not events:
        raise EventNotFound(event_id)
    return events


async def _checkpoints(plan: CoursePlan) -> Checkpoints:
    """Of the versions that are read."""
    async with Database(plan.postgres) as database:
        store = PostgresProjectionStore(database)
        return {
            (known.app, known.name): await store.checkpoints(version.version_id)
            for known in await store.find()
            for version in await store.versions(known.app, known.name)
            if version.version == known.live
        }


async def _search(plan: CoursePlan, events: Sequence[Event[Any]]) -> Found:
    counts: Mapping[str, int] = partition_counts(plan.kafka.bootstrap)
    topics = sorted(topic for topic in counts if is_failure_topic(topic))
    async with Database(plan.postgres) as database:
        return await _evidence(plan, database).run(events, topics)


def _evidence(plan: CoursePlan, database: Database) -> EvidenceSearch:
    return EvidenceSearch(
        PostgresEventPlaces(database),
        lambda: KafkaFetcher(plan.kafka),
        lambda topics: KafkaReader(plan.kafka, topics),
    )


@asynccontextmanager
async def _stored(plan: CoursePlan, database: Database) -> AsyncIterator[PostgresEventStore]:
    codec = Codec(plan.catalog)
    async with open_schemas(plan.kafka, codec) as (schemas, _):
        yield PostgresEventStore(database, codec, schemas)
