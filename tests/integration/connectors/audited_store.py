"""A store of one test from end to end: events in a topic, their archive, their rows, an audit."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from benchmarks.broker import Broker
from connectors.audit import AuditReport
from connectors.audit_service import AuditPlan, store_audit
from connectors.restore_service import RestorePlan, store_restore
from connectors.settings import PostgresSettings
from connectors.store_restore import RestoreReport
from infra.topics import partition_counts, topic_ids
from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.event import Event
from schemas.headers import event_headers
from streams.partitioner import partition_of
from streams.platform.archive import archived
from streams.records import RawRecord
from streams.settings import KafkaSettings
from tests.integration.connectors.conftest import PARTITIONS, Archive

CODEC = Codec(Catalog.load())


@dataclass
class AuditedStore:
    """Publishes, archives and audits under names of its own; `archive` has the sink's topics."""

    archive: Archive
    dsn: str
    ends: dict[int, int] = field(default_factory=lambda: dict.fromkeys(range(PARTITIONS), 0))
    """The next offset of each partition that events are published to."""

    @property
    def published(self) -> str:
        return f"events.{self.archive.name}"

    @property
    def group(self) -> str:
        return f"{self.archive.name}.platform"

    def make(self) -> None:
        admin = AdminClient({"bootstrap.servers": self.archive.bootstrap})
        for done in admin.create_topics([NewTopic(self.published, PARTITIONS, 1)]).values():
            done.result(30)

    def publish(self, events: Sequence[Event[Any]], *, archive: bool = True) -> None:
        """Write the events, and their copies as the platform's worker makes them."""
        producer = Producer({"bootstrap.servers": self.archive.bootstrap})
        for event in events:
            partition = partition_of(event.key.encode(), PARTITIONS)
            record = RawRecord(
                topic=self.published,
                partition=partition,
                offset=self.ends[partition],
                timestamp_ms=0,
                key=event.key.encode(),
                value=CODEC.encode(event),
                headers=tuple(event_headers(event)),
            )
            self.ends[partition] += 1
            self._send(producer, self.published, record)
            if archive:
                copy = archived(record, event.id, event.envelope)
                copied = record._replace(key=copy.key, headers=copy.headers)
                self._send(producer, self.archive.settings.topic, copied)
        assert producer.flush(30) == 0
        if archive:
            self.commit()

    def commit(self) -> None:
        """Say that the archive has taken everything that was published."""
        ends = [self.ends[partition] for partition in range(PARTITIONS)]
        Broker(self.archive.bootstrap).place_group(self.group, self.published, ends)

    async def audit(self) -> AuditReport:
        topic = self.archive.settings.topic
        plan = AuditPlan(
            kafka=KafkaSettings(bootstrap=self.archive.bootstrap),
            postgres=PostgresSettings(dsn=self.dsn, statement_timeout_s=0),
            topic_id=topic_ids(self.archive.bootstrap, [topic])[topic],
            catalog=Catalog.load(),
            partitions={
                name: count
                for name, count in partition_counts(self.archive.bootstrap).items()
                if self.archive.name in name
            },
            patience_s=0.5,
            archive=topic,
            published=[self.published],
            archiving_group=self.group,
        )
        async with store_audit(plan) as audit:
            return await audit.run()

    def restore_plan(self) -> RestorePlan:
        topic = self.archive.settings.topic
        return RestorePlan(
            kafka=KafkaSettings(bootstrap=self.archive.bootstrap, schema_wait_s=0.5),
            postgres=PostgresSettings(dsn=self.dsn),
            topic_id=topic_ids(self.archive.bootstrap, [topic])[topic],
            catalog=Catalog.load(),
            topic=topic,
            batch_records=50,
        )

    async def restore(self) -> RestoreReport:
        async with store_restore(self.restore_plan()) as restore:
            return await restore.run()

    @staticmethod
    def _send(producer: Producer, topic: str, record: RawRecord) -> None:
        producer.produce(
            topic,
            partition=record.partition,
            key=record.key,
            value=record.value,
            headers=list(record.headers),
        )
