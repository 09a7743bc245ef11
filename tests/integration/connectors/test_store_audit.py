"""The audit on real Kafka and PostgreSQL finds nothing, or each anomaly that was planted."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from psycopg import sql

from connectors.audit import Kind
from connectors.event_row import EventRow, event_row
from connectors.postgres.migrations import migrate
from schemas.envelope import Aggregate
from schemas.event import Event, EventFactory
from schemas.events.domain import AnalysisFileProcessed
from tests.integration.connectors.audited_store import CODEC, AuditedStore
from tests.integration.connectors.conftest import CATALOG, Archive, eventually
from tests.integration.connectors.test_store_sink import running

pytestmark = [pytest.mark.kafka, pytest.mark.postgres]

Files = Callable[[int], list[Event[Any]]]


@pytest.fixture
def store(archive: Archive, fresh_database: str) -> AuditedStore:
    made = AuditedStore(archive=archive, dsn=fresh_database)
    made.make()
    return made


@contextmanager
def unguarded(dsn: str) -> Iterator[psycopg.Connection[Any]]:
    """A superuser who has switched the append-only triggers off, as damage would not ask either."""
    with psycopg.connect(dsn) as connection:
        connection.execute("SET session_replication_role = replica")
        yield connection


async def fill(store: AuditedStore, events: list[Event[Any]]) -> None:
    store.publish(events)
    await drain(store, len(events))


async def drain(store: AuditedStore, rows: int) -> None:
    plan = store.archive.plan(store.dsn)
    await migrate(plan.postgres)
    async with running(plan) as sink:
        await eventually(lambda: sink.status.stored + sink.status.repeated >= rows)


async def test_a_store_that_holds_everything_agrees(store: AuditedStore, files: Files) -> None:
    await fill(store, files(300))
    report = await store.audit()
    assert report.agrees, report.findings.named
    assert (report.findings.events, report.findings.in_flight) == (300, 0)


async def test_what_is_on_its_way_is_in_flight(store: AuditedStore, files: Files) -> None:
    events = files(120)
    await fill(store, events[:100])
    store.publish(events[100:110])
    store.publish(events[110:], archive=False)
    report = await store.audit()
    assert report.agrees, report.findings.named
    assert (report.findings.events, report.findings.in_flight) == (120, 20)


async def test_an_event_that_waits_for_the_relay_is_in_flight(
    store: AuditedStore, files: Files
) -> None:
    await fill(store, files(20))
    with unguarded(store.dsn) as connection:
        connection.execute("DROP TABLE IF EXISTS outbox")
        connection.execute("CREATE TABLE outbox (id text)")
        connection.execute("INSERT INTO outbox VALUES ('appended')")
        add_row(connection, row_alone("appended", version=1))
    report = await store.audit()
    assert report.agrees, report.findings.named
    assert (report.findings.events, report.findings.in_flight) == (21, 1)


async def test_rows_and_records_that_are_gone_are_holes(store: AuditedStore, files: Files) -> None:
    events = files(100)
    await fill(store, events[:90])
    store.publish(events[90:], archive=False)
    store.commit()
    lost = events[7].id
    with unguarded(store.dsn) as connection:
        connection.execute("DELETE FROM events WHERE event_id = %s", [lost])
        connection.execute("DELETE FROM event_positions WHERE event_id = %s", [events[8].id])
        add_row(connection, row_alone("nowhere else"))
    report = await store.audit()
    assert report.findings.counts == {Kind.HOLE: 13}


async def test_two_contents_and_two_partitions_are_duplicates(
    store: AuditedStore, files: Files
) -> None:
    events = files(40)
    await fill(store, events)
    with unguarded(store.dsn) as connection:
        changed = "UPDATE events SET framed = framed || 'x' WHERE event_id = %s"
        connection.execute(changed, [events[3].id])
    report = await store.audit()
    assert report.findings.counts == {Kind.DUPLICATE: 1}
    assert [it.subject for it in report.findings.named] == [events[3].id]


async def test_versions_that_lack_one_or_stand_out_of_order_are_told(
    store: AuditedStore, files: Files
) -> None:
    """The events of f0.py get the versions 1, 2, 3, 5 and those of f1.py 1, 3, 2, 4."""
    events = files(40)
    await fill(store, events)
    versions = {"f0.py": [1, 2, 3, 5], "f1.py": [1, 3, 2, 4]}
    with unguarded(store.dsn) as connection:
        for aggregate, numbers in versions.items():
            of_aggregate = [it for it in events if it.aggregate and it.aggregate.id == aggregate]
            for event, version in zip(of_aggregate, numbers, strict=True):
                connection.execute(
                    "UPDATE events SET aggregate_version = %s WHERE event_id = %s",
                    [version, event.id],
                )
    report = await store.audit()
    # The bytes of these events have no version.
    assert report.findings.counts == {Kind.VERSION_GAP: 1, Kind.DISORDER: 1, Kind.COLUMN: 8}
    named = {it.subject for it in report.findings.named if it.kind is not Kind.COLUMN}
    assert named == {"SourceFile/f0.py", "SourceFile/f1.py"}


async def test_columns_that_are_not_what_the_bytes_say_are_told(
    store: AuditedStore, files: Files
) -> None:
    events = files(60)
    await fill(store, events)
    sound = await store.audit()
    assert (sound.findings.sampled, sound.agrees) == (60, True)
    with unguarded(store.dsn) as connection:
        later = (
            """UPDATE events SET "timestamp" = "timestamp" + interval '1 ms' WHERE event_id = %s"""
        )
        connection.execute(later, [events[3].id])
        other = "UPDATE events SET correlation_id = 'other', user_id = 'ada' WHERE event_id = %s"
        connection.execute(other, [events[4].id])
    report = await store.audit()
    assert report.findings.counts == {Kind.COLUMN: 2}
    assert {it.subject: it.detail for it in report.findings.named} == {
        events[3].id: "timestamp: not what the bytes say",
        events[4].id: "correlation_id, user_id: not what the bytes say",
    }


async def test_a_sample_of_a_large_table_is_a_part_of_it(
    store: AuditedStore, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(store, files(600))
    monkeypatch.setattr("connectors.postgres.audit_snapshot.SAMPLED_BLOCKS", 10)
    sampled = {(await store.audit()).findings.sampled for _ in range(3)}
    assert 0 < max(sampled) < 600


async def test_projections_in_postgres_are_held_against_the_log(
    store: AuditedStore, files: Files
) -> None:
    await fill(store, files(40))
    with psycopg.connect(store.dsn) as connection:
        connection.execute(LIVE_PROJECTIONS)
        connection.execute(CHECKPOINTS)
        row = connection.execute("SELECT count(*) FROM sink_offsets WHERE next > 0").fetchone()
    assert row is not None
    read = row[0]
    report = await store.audit()
    found = {it.name: (it.sources, it.ahead, it.missing) for it in report.projections}
    assert found == {
        "team/ahead": (read, read, 0),
        "team/new": (0, 0, 0),
        "team/sound": (read, 0, 0),
        "team/stopped": (read, 0, 1),
    }
    assert not report.agrees


LIVE_PROJECTIONS = """
    INSERT INTO projections (app, name, module, live, last_version)
    SELECT 'team', name, 'team.app', 2, 2
    FROM unnest(ARRAY['ahead', 'new', 'sound', 'stopped']) AS name;
    INSERT INTO projection_versions (app, name, version, revision, failure)
    SELECT app, name, version, 1, CASE WHEN name = 'stopped' THEN '{}'::jsonb END
    FROM projections, generate_series(1, 2) AS version
"""
CHECKPOINTS = """
    INSERT INTO projection_checkpoints (version_id, topic_id, partition, next)
    SELECT version_id, topic_id, partition,
        next + CASE WHEN name = 'ahead' OR version = 1 THEN 1000000 ELSE 0 END
    FROM projection_versions, sink_offsets
    WHERE name <> 'new' AND next > 0
"""


async def test_a_store_at_work_agrees_while_it_is_audited(
    store: AuditedStore, files: Files
) -> None:
    plan = store.archive.plan(store.dsn)
    await migrate(plan.postgres)
    async with running(plan) as sink:
        for _ in range(5):
            store.publish(files(200))
            report = await store.audit()
            assert report.agrees, report.findings.named
        await eventually(lambda: sink.status.stored == 1_000)
    report = await store.audit()
    assert (report.findings.events, report.findings.in_flight) == (1_000, 0)


def row_alone(event_id: str, version: int | None = None) -> EventRow:
    """The row of an event that stands nowhere else."""
    data = AnalysisFileProcessed(
        analysis_id="a", project_id="p", path="f", lines=1, functions=0, classes=0
    )
    event = EventFactory(CATALOG, "tests").create(data, id=event_id, aggregate_id="f")
    aggregate = Aggregate("SourceFile", "f", version)
    framed = CODEC.encode(Event(event.envelope._replace(aggregate=aggregate), data))
    return event_row(CODEC.view(framed), framed, with_json=False)


def add_row(connection: psycopg.Connection[Any], row: EventRow) -> None:
    columns = sql.SQL(", ").join(map(sql.Identifier, EventRow._fields))
    values = sql.SQL(", ").join(sql.Placeholder() * len(row))
    connection.execute(sql.SQL("INSERT INTO events ({}) VALUES ({})").format(columns, values), row)
