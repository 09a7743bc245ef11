"""Puts an audit together from real parts: Kafka, Postgres, and the changelogs of projections."""

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from connectors.audit_changelogs import ChangelogCheckpoints
from connectors.postgres.audit_snapshot import PostgresAuditedStore
from connectors.postgres.database import Database
from connectors.postgres.projection_checkpoints import PostgresProjectionCheckpoints
from connectors.settings import PostgresSettings
from connectors.store_audit import AuditEdges, AuditListener, Phase, StoreAudit
from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.topics import STORE_EVENTS, all_events_topics, is_changelog
from streams.kafka.fetcher import KafkaFetcher
from streams.kafka.offsets import committed_offsets
from streams.platform.processor import PLATFORM_GROUP
from streams.records import TopicPartition
from streams.settings import KafkaSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditPlan:
    """Which Kafka, which Postgres, and how long to wait for what is in flight, seconds.

    `partitions` has the partition count of every topic of this Kafka, `topic_id` is its id of
    `store.events`. `postgres` should leave its statements time to stream whole tables.
    """

    kafka: KafkaSettings
    postgres: PostgresSettings
    topic_id: str
    catalog: Catalog
    partitions: Mapping[str, int]
    patience_s: float = 10.0
    archive: str = STORE_EVENTS
    published: Sequence[str] = all_events_topics()
    archiving_group: str = PLATFORM_GROUP

    @property
    def sources(self) -> tuple[TopicPartition, ...]:
        """All partitions whose events are compared."""
        return tuple(
            TopicPartition(topic, number)
            for topic in (self.archive, *self.published)
            for number in range(self.partitions.get(topic, 0))
        )

    @property
    def changelogs(self) -> Mapping[str, int]:
        """The changelogs of all tables."""
        return {topic: count for topic, count in self.partitions.items() if is_changelog(topic)}


def _silent(_phase: Phase, _done: int, _total: int) -> None:
    """Tells nobody."""


@asynccontextmanager
async def store_audit(
    plan: AuditPlan, on_progress: AuditListener = _silent
) -> AsyncIterator[StoreAudit]:
    """An audit that is ready to run; closes its connections behind the block."""
    async with Database(plan.postgres) as database:
        edges = AuditEdges(
            store=PostgresAuditedStore(database, plan.topic_id),
            fetchers=lambda: KafkaFetcher(plan.kafka),
            archived=lambda: committed_offsets(plan.kafka, plan.archiving_group),
            projections=(
                ChangelogCheckpoints(lambda: KafkaFetcher(plan.kafka), plan.changelogs),
                PostgresProjectionCheckpoints(database, plan.archive, plan.topic_id),
            ),
            codec=Codec(plan.catalog),
            clock=time.monotonic,
        )
        yield StoreAudit(
            edges,
            plan.sources,
            archive=plan.archive,
            patience_s=plan.patience_s,
            on_progress=on_progress,
        )
