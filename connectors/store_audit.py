"""The audit of the event store: Kafka against Postgres against the projections, on a live system.

Everything is fixed at one moment, the database first: a snapshot of Postgres, then how far the
archive has come, then the ends of the topics. So whatever the snapshot shows was taken from below
those ends, and what stands behind the sink or the archive is in flight, never a hole.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from connectors.audit import AuditReport, Findings, ProjectionVerdict
from connectors.audit_columns import compare_columns
from connectors.audit_comparison import (
    Versioned,
    compare_events,
    compare_versions,
)
from connectors.audit_ports import (
    AuditedStore,
    ProjectionCheckpoint,
    ProjectionCheckpoints,
    StoreSnapshot,
)
from connectors.audit_rows import ARCHIVED, PUBLISHED, STORED, WAITING, read_bucket
from connectors.bounded_reading import read_until
from connectors.first_error import first_error
from connectors.spill import Spill
from schemas.codec import Codec
from schemas.errors import SchemaError
from schemas.headers import CE_ID
from schemas.topics import STORE_EVENTS
from streams.log import PartitionFetcher
from streams.records import ORIGIN, RawRecord, TopicPartition

POLL_S: Final = 0.2
DIGEST: Final = 16
"""Characters of a fingerprint: the first eight bytes of SHA-256, as in the query of Postgres."""


class Phase(StrEnum):
    """What an audit does, in order."""

    WAITING = "waiting for what is in flight"
    READING = "reading Kafka and PostgreSQL"
    COMPARING = "comparing"
    PROJECTIONS = "reading projections"


AuditListener = Callable[[Phase, int, int], None]
"""Told of the phase, how much of it is done, and how much there is in all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEdges:
    """What an audit stands on, passed in.

    `archived` tells how far the archive has come in `events.*`; `clock` gives seconds.
    """

    store: AuditedStore
    fetchers: Callable[[], PartitionFetcher]
    archived: Callable[[], Awaitable[Mapping[TopicPartition, int]]]
    projections: Sequence[ProjectionCheckpoints]
    codec: Codec
    clock: Callable[[], float]


class StoreAudit:
    """One audit of `sources`: all partitions of `store.events` and of `events.*`."""

    def __init__(
        self,
        edges: AuditEdges,
        sources: Sequence[TopicPartition],
        *,
        archive: str = STORE_EVENTS,
        patience_s: float,
        on_progress: AuditListener = lambda _phase, _done, _total: None,
    ) -> None:
        """`patience_s`: how long to wait for what is in flight when the audit begins."""
        self._edges = edges
        self._archive = [source for source in sources if source.topic == archive]
        self._published = [source for source in sources if source.topic != archive]
        self._patience_s = patience_s
        self._on_progress = on_progress

    async def run(self) -> AuditReport:
        """Look at everything once. Raises ForeignCluster, DatabaseUnavailable, BrokerUnavailable.

        Holds what fits into a part of the comparison in memory; the rest is on disk meanwhile.
        """
        began = self._edges.clock()
        findings = Findings()
        async with _started(self._edges.fetchers(), self._archive + self._published) as fetcher:
            await self._wait(fetcher)
            await self._events(fetcher, findings)
            projections = await self._projections(fetcher)
        return AuditReport(
            findings=findings, projections=projections, seconds=self._edges.clock() - began
        )

    async def _wait(self, fetcher: PartitionFetcher) -> None:
        """Give what stands in the topics now the time to arrive in Postgres."""
        published = await fetcher.ends(self._published)
        deadline = self._edges.clock() + self._patience_s
        archive: Mapping[TopicPartition, int] = {}
        while True:
            archived = await self._edges.archived()
            lag = sum(max(0, end - archived.get(at, 0)) for at, end in published.items())
            if not lag:
                archive = archive or await fetcher.ends(self._archive)
                stored = await self._edges.store.next_offsets()
                lag = sum(max(0, end - stored.get(at.partition, 0)) for at, end in archive.items())
            self._on_progress(Phase.WAITING, 0, lag)
            if not lag or self._edges.clock() >= deadline:
                return
            await asyncio.sleep(POLL_S)

    async def _events(self, fetcher: PartitionFetcher, findings: Findings) -> None:
        with ExitStack() as closing:
            async with self._edges.store.snapshot() as snapshot:
                archived = await self._edges.archived()
                ends = await fetcher.ends(self._archive + self._published)
                keys = sum(ends[source] for source in self._archive)
                spill = closing.enter_context(Spill(keys))
                next_offsets = snapshot.next_offsets
                reading = _Reading(spill, self._edges.codec, archived, self._on_progress)
                reading.total = sum(ends.values())
                with first_error():
                    async with asyncio.TaskGroup() as both:
                        both.create_task(reading.log(fetcher, ends, self._archive[0].topic))
                        both.create_task(reading.store(snapshot))
                await self._columns(snapshot, findings)
            self._compare(spill, closing.enter_context(Spill(keys)), next_offsets, findings)

    async def _columns(self, snapshot: StoreSnapshot, findings: Findings) -> None:
        """Hold a sample of rows against their bytes."""
        async for rows in snapshot.sampled():
            compared = compare_columns(self._edges.codec, rows)
            findings.sampled += compared.rows
            findings.add(compared.anomalies)

    def _compare(
        self, spill: Spill, versions: Spill, next_offsets: Mapping[int, int], findings: Findings
    ) -> None:
        for bucket in range(spill.buckets):
            read = read_bucket(spill.rows(bucket), next_offsets)
            compared = compare_events(read.others, next_offsets)
            findings.events += read.plain + compared.events
            findings.in_flight += compared.in_flight
            findings.add(compared.anomalies)
            for event in (*read.versioned, *compared.versioned):
                versions.put(event.aggregate, tuple(event))
            self._on_progress(Phase.COMPARING, bucket + 1, spill.buckets)
        for bucket in range(versions.buckets):
            findings.add(compare_versions(Versioned(*row) for row in versions.rows(bucket)))

    async def _projections(self, fetcher: PartitionFetcher) -> tuple[ProjectionVerdict, ...]:
        self._on_progress(Phase.PROJECTIONS, 0, len(self._edges.projections))
        checkpoints = [it for kind in self._edges.projections for it in await kind.read()]
        # Asked for last: a projection that works on is never ahead of what was there by then.
        ends = await fetcher.ends(self._archive + self._published)
        self._on_progress(Phase.PROJECTIONS, 1, 1)
        return tuple(verdict(it, ends) for it in checkpoints)


def verdict(
    checkpoint: ProjectionCheckpoint, ends: Mapping[TopicPartition, int]
) -> ProjectionVerdict:
    """Compare what a projection claims with the ends of its sources. Pure."""
    ahead = [at for at, offset in checkpoint.positions.items() if offset >= ends.get(at, 0)]
    return ProjectionVerdict(
        name=checkpoint.name,
        sources=len(checkpoint.positions),
        ahead=len(ahead),
        missing=checkpoint.missing,
    )


class _Reading:
    """Puts what the log and the database hold into buckets by event id."""

    def __init__(
        self,
        spill: Spill,
        codec: Codec,
        archived: Mapping[TopicPartition, int],
        on_progress: AuditListener,
    ) -> None:
        self.total = 0
        self._done = 0
        self._spill = spill
        self._codec = codec
        self._archived = archived
        self._on_progress = on_progress

    async def log(
        self, fetcher: PartitionFetcher, ends: Mapping[TopicPartition, int], archive: str
    ) -> None:
        """Everything below `ends`."""
        async with aclosing(read_until(fetcher, {}, ends)) as batches:
            async for batch in batches:
                for source, records in batch.items():
                    if source.topic == archive:
                        self._put_archived(records)
                    else:
                        self._put_published(records, self._archived.get(source, 0))
                    self._done += len(records)
                self._on_progress(Phase.READING, self._done, self.total)

    async def store(self, snapshot: StoreSnapshot) -> None:
        """Everything in the snapshot."""
        put = self._spill.put
        async for rows in snapshot.stored():
            for row in rows:
                put(row[0], (STORED, *row))
        async for ids in snapshot.outbox_ids():
            for event_id in ids:
                put(event_id, (WAITING, event_id))

    def _put_archived(self, records: Sequence[RawRecord]) -> None:
        put = self._spill.put
        for record in records:
            if record.value is None:
                continue
            event_id = self._event_id(record) or (record.key or b"").decode(errors="replace")
            source, source_offset = _origin(record)
            digest = hashlib.sha256(record.value).hexdigest()[:DIGEST]
            place = (record.partition, record.offset, source, source_offset)
            put(event_id, (ARCHIVED, event_id, digest, *place))

    def _put_published(self, records: Sequence[RawRecord], archived: int) -> None:
        put = self._spill.put
        for record in records:
            event_id = self._event_id(record)
            if event_id is not None:
                topic, partition, offset, *_ = record
                put(event_id, (PUBLISHED, event_id, topic, partition, offset, offset < archived))

    def _event_id(self, record: RawRecord) -> str | None:
        """As the archive tells it; None for what the archive makes a dead letter of."""
        for name, content in record.headers:
            if name == CE_ID:
                return content.decode(errors="replace")
        try:
            return self._codec.view(record.value or b"").id
        except SchemaError:
            return None


def _origin(record: RawRecord) -> tuple[str, int]:
    for name, content in record.headers:
        if name == ORIGIN:
            source, _, offset = content.decode(errors="replace").rpartition("/")
            if offset.isdecimal():
                return source, int(offset)
    return f"{record.topic}/{record.partition}", record.offset


@asynccontextmanager
async def _started(
    fetcher: PartitionFetcher, sources: Sequence[TopicPartition]
) -> AsyncIterator[PartitionFetcher]:
    await fetcher.start(dict.fromkeys(sources, 0))
    try:
        yield fetcher
    finally:
        await fetcher.close()
