"""The audit as a whole, over a log and a store in process."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import orjson
import pytest

from connectors.audit import AuditReport, Kind
from connectors.audit_changelogs import ChangelogCheckpoints
from connectors.audit_comparison import Placed, Stored
from connectors.audit_ports import ProjectionCheckpoint
from connectors.store_audit import AuditEdges, StoreAudit, verdict
from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.event import Event, EventFactory
from schemas.headers import event_headers
from schemas.topics import STORE_EVENTS
from streams.coverage import Coverage
from streams.errors import BrokerUnavailable
from streams.memory.fetcher import MemoryFetcher
from streams.memory.log import MemoryLog
from streams.platform.archive import archived
from streams.projection import joined
from streams.records import OutgoingRecord, TopicPartition
from tests.unit.connectors.memory_store import MemoryAuditedStore
from tests.unit.connectors.test_event_row import processed, row_of

CATALOG = Catalog.load()
CODEC = Codec(CATALOG)
FACTORY = EventFactory(CATALOG, source="tests")
TOPIC = "events.system.low"


def event(number: int) -> Event[Any]:
    return FACTORY.create_from_mapping(
        "system.worker.started",
        {"process": "tests", "host": "local", "pid": number},
        id=f"e-{number}",
    )


@dataclass
class World:
    """A topic of events, their archive and their rows; each step can be left out."""

    log: MemoryLog = field(default_factory=MemoryLog)
    store: MemoryAuditedStore = field(default_factory=MemoryAuditedStore)
    committed: dict[TopicPartition, int] = field(default_factory=dict)
    now: float = 0.0

    def publish(self, number: int) -> None:
        made = event(number)
        self.log.append(
            OutgoingRecord(
                topic=TOPIC,
                key=made.key.encode(),
                value=CODEC.encode(made),
                headers=event_headers(made),
            )
        )

    def archive(self) -> None:
        for source in self.log.partitions(TOPIC):
            for record in self.log.records(source, self.committed.get(source, 0)):
                view = CODEC.view(record.value or b"")
                self.log.append(archived(record, view.id, view.envelope))
            self.committed[source] = self.log.end(source)

    def sink(self) -> None:
        for source in self.log.partitions(STORE_EVENTS):
            start = self.store.next_by_partition.get(source.partition, 0)
            for record in self.log.records(source, start):
                event_id = (record.key or b"").decode()
                digest = hashlib.sha256(record.value or b"").hexdigest()[:16]
                if event_id not in {row.event_id for row in self.store.rows}:
                    self.store.rows.append(Stored(event_id, digest, None, None))
                self.store.positions.append(Placed(event_id, record.partition, record.offset))
            self.store.next_by_partition[source.partition] = self.log.end(source)

    async def audit(
        self, projections: Sequence[Any] = (), fetcher: type[MemoryFetcher] = MemoryFetcher
    ) -> AuditReport:
        async def committed() -> Mapping[TopicPartition, int]:
            return self.committed

        def clock() -> float:
            self.now += 1
            return self.now

        edges = AuditEdges(
            store=self.store,
            fetchers=lambda: fetcher(self.log),
            archived=committed,
            projections=projections,
            codec=CODEC,
            clock=clock,
        )
        sources = [*self.log.partitions(STORE_EVENTS), *self.log.partitions(TOPIC)]
        return await StoreAudit(edges, sources, patience_s=0).run()


async def test_a_store_that_holds_everything_agrees() -> None:
    world = World()
    for number in range(200):
        world.publish(number)
    world.archive()
    world.sink()
    report = await world.audit()
    assert report.agrees
    assert {**report.as_mapping(), "seconds": 0} == {
        "events": 200,
        "holes": 0,
        "duplicates": 0,
        "disorder": 0,
        "version_gaps": 0,
        "columns": 0,
        "sampled": 0,
        "projections": {},
        "seconds": 0,
    }


async def test_sampled_rows_that_are_not_what_their_bytes_say_are_told() -> None:
    world = World()
    row = row_of(processed())
    world.store.sample = [row, row._replace(type="analysis.completed")]
    report = await world.audit()
    assert (report.findings.sampled, report.findings.counts) == (2, {Kind.COLUMN: 1})
    assert not report.agrees


async def test_what_is_on_its_way_is_in_flight_and_no_hole() -> None:
    world = World()
    world.publish(1)
    world.archive()
    world.sink()
    world.publish(2)
    world.archive()
    world.publish(3)
    report = await world.audit()
    assert report.agrees
    assert (report.findings.events, report.findings.in_flight) == (3, 2)


async def test_a_row_that_is_gone_is_a_hole_named_by_its_place() -> None:
    world = World()
    for number in range(20):
        world.publish(number)
    world.archive()
    world.sink()
    lost = world.store.rows.pop(7)
    report = await world.audit()
    assert not report.agrees
    [hole] = report.findings.named
    assert (hole.kind, hole.subject) == (Kind.HOLE, lost.event_id)
    assert "is not in Postgres" in hole.detail


async def test_an_event_that_the_archive_passed_over_is_a_hole() -> None:
    world = World()
    world.publish(1)
    world.archive()
    world.publish(2)
    world.committed = {source: world.log.end(source) for source in world.log.partitions(TOPIC)}
    world.sink()
    [hole] = (await world.audit()).findings.named
    assert (hole.kind, hole.subject) == (Kind.HOLE, "e-2")


async def test_a_redelivery_of_the_archive_agrees() -> None:
    world = World()
    for number in range(20):
        world.publish(number)
    world.archive()
    world.committed.clear()
    world.archive()
    world.sink()
    assert (await world.audit()).agrees


def changelog_record(log: MemoryLog, key: str, coverage: Coverage) -> None:
    value = joined(coverage, orjson.dumps({"n": 1}))
    log.append(OutgoingRecord(topic="t.main-sums-changelog", key=key.encode(), value=value))


async def checkpoints(log: MemoryLog) -> Sequence[ProjectionCheckpoint]:
    kept = ChangelogCheckpoints(lambda: MemoryFetcher(log), {"t.main-sums-changelog": 4})
    return await kept.read()


async def test_a_changelog_tells_the_furthest_position_of_each_source() -> None:
    log = MemoryLog()
    changelog_record(log, "a", Coverage(positions={f"{TOPIC}/0": 7, f"{TOPIC}/0<stream": 99}))
    changelog_record(log, "b", Coverage(positions={f"{TOPIC}/0": 3, f"{TOPIC}/2": 1}))
    [checkpoint] = await checkpoints(log)
    assert checkpoint.name == "t.main-sums"
    assert checkpoint.positions == {TopicPartition(TOPIC, 0): 7, TopicPartition(TOPIC, 2): 1}
    assert checkpoint.missing == 0


async def test_an_event_that_was_not_folded_is_missing_until_it_is() -> None:
    log = MemoryLog()
    changelog_record(log, "a", Coverage(positions={f"{TOPIC}/0": 7}, missing={f"{TOPIC}/0": {5}}))
    assert (await checkpoints(log))[0].missing == 1
    changelog_record(log, "a", Coverage(positions={f"{TOPIC}/0": 8}))
    assert (await checkpoints(log))[0].missing == 0


async def test_the_changelog_of_another_kind_of_table_is_left_out() -> None:
    log = MemoryLog()
    log.append(OutgoingRecord(topic="t.main-sums-changelog", key=b"k", value=b"17"))
    assert await checkpoints(log) == []


def test_a_projection_that_claims_more_than_the_log_holds_is_ahead() -> None:
    claim = ProjectionCheckpoint(name="p", positions={TopicPartition(TOPIC, 0): 10}, missing=0)
    assert verdict(claim, {TopicPartition(TOPIC, 0): 11}).agrees
    assert verdict(claim, {TopicPartition(TOPIC, 0): 10}).ahead == 1


async def test_a_projection_that_lacks_an_event_fails_the_audit() -> None:
    world = World()
    world.publish(1)
    world.archive()
    world.sink()
    changelog_record(
        world.log, "a", Coverage(positions={f"{TOPIC}/0": 0}, missing={f"{TOPIC}/0": {0}})
    )
    kept = ChangelogCheckpoints(lambda: MemoryFetcher(world.log), {"t.main-sums-changelog": 4})
    report = await world.audit([kept])
    assert report.as_mapping()["projections"]["t.main-sums"]["missing"] == 1
    assert not report.agrees


class Unreachable(MemoryFetcher):
    """A broker that is gone as soon as records are read."""

    async def fetch(self, *_: object, **__: object) -> NoReturn:
        raise BrokerUnavailable("gone")


async def test_a_broker_that_goes_away_while_the_audit_reads_is_told_as_that() -> None:
    world = World()
    world.publish(1)
    world.archive()
    world.sink()
    with pytest.raises(BrokerUnavailable, match="gone"):
        await world.audit(fetcher=Unreachable)
