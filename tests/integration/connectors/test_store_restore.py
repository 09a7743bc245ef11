"""PostgreSQL rebuilt from the compacted topic on real parts, and proved equal by the audit."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from connectors.errors import ForeignCluster, OutboxNotEmpty
from connectors.postgres.migrations import migrate
from connectors.settings import PostgresSettings
from schemas.event import Event
from tests.integration.connectors.audited_store import AuditedStore
from tests.integration.connectors.conftest import Archive, eventually
from tests.integration.connectors.test_store_audit import drain, fill, unguarded
from tests.integration.connectors.test_store_sink import ROOT, consistent, running, stored

pytestmark = [pytest.mark.kafka, pytest.mark.postgres]

Files = Callable[[int], list[Event[Any]]]
COLUMNS = """
    event_id, type, category, priority, schema_version, schema_id, "timestamp", source,
    correlation_id, causation_id, aggregate_type, aggregate_id, aggregate_version, user_id,
    trace_id, framed, data
"""


@pytest.fixture
def store(archive: Archive, fresh_database: str) -> AuditedStore:
    made = AuditedStore(archive=archive, dsn=fresh_database)
    made.make()
    return made


def contents(dsn: str) -> list[Any]:
    with psycopg.connect(dsn) as connection:
        return connection.execute(f"SELECT {COLUMNS} FROM events ORDER BY event_id").fetchall()


def histories(dsn: str) -> list[Any]:
    """The events of each aggregate in the order in which readers get them."""
    with psycopg.connect(dsn) as connection:
        return connection.execute(
            "SELECT aggregate_id, array_agg(event_id ORDER BY sequence) FROM events GROUP BY 1"
            " ORDER BY 1"
        ).fetchall()


def sunk(dsn: str) -> int:
    """How many offsets the sink has behind it."""
    with psycopg.connect(dsn) as connection:
        [(total,)] = connection.execute("SELECT sum(next)::int FROM sink_offsets").fetchall()
    return int(total)


def start_process(store: AuditedStore, kill_at: int) -> subprocess.Popen[bytes]:
    archive = store.archive
    asked = {"bootstrap": archive.bootstrap, "name": archive.name, "dsn": store.dsn}
    return subprocess.Popen(
        [
            sys.executable,
            *("-m", "tests.integration.connectors.crashing_restore"),
            json.dumps({**asked, "kill_at": kill_at}),
        ],
        cwd=ROOT,
    )


async def drop_everything(dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    await migrate(PostgresSettings(dsn=dsn))


async def test_a_database_that_was_lost_is_equal_after_its_restore(
    store: AuditedStore, files: Files
) -> None:
    await fill(store, files(300))
    before = contents(store.dsn), histories(store.dsn)
    await drop_everything(store.dsn)
    report = await store.restore()
    assert (report.stored, report.known, report.refused) == (300, 0, 0)
    assert (contents(store.dsn), histories(store.dsn)) == before
    audit = await store.audit()
    assert audit.agrees, audit.findings.named
    assert (audit.findings.events, audit.findings.in_flight) == (300, 0)
    assert consistent(store.dsn)


async def test_a_table_that_is_half_full_is_completed(store: AuditedStore, files: Files) -> None:
    events = files(200)
    await fill(store, events)
    before = contents(store.dsn)
    with unguarded(store.dsn) as connection:
        connection.execute("DELETE FROM events WHERE hashtext(event_id) % 2 = 0")
        connection.execute("DELETE FROM event_positions WHERE hashtext(event_id) % 3 = 0")
    assert 0 < len(contents(store.dsn)) < 200
    assert not (await store.audit()).agrees
    report = await store.restore()
    assert report.stored + report.known == 200
    assert contents(store.dsn) == before
    assert (await store.audit()).agrees


async def test_the_sink_goes_on_behind_a_restore(store: AuditedStore, files: Files) -> None:
    events = files(120)
    store.publish(events[:100])
    await migrate(PostgresSettings(dsn=store.dsn))
    await store.restore()
    store.publish(events[100:])
    plan = store.archive.plan(store.dsn)
    async with running(plan) as sink:
        await eventually(lambda: len(stored(store.dsn)) == 120)
        assert (sink.status.stored, sink.status.repeated) == (20, 0)
    assert (await store.audit()).agrees


async def test_a_restore_beside_a_sink_at_work_loses_and_repeats_nothing(
    store: AuditedStore, files: Files
) -> None:
    store.publish(files(400))
    await migrate(PostgresSettings(dsn=store.dsn))
    async with running(store.archive.plan(store.dsn)):
        await store.restore()
        await eventually(lambda: sunk(store.dsn) == 400)
    audit = await store.audit()
    assert audit.agrees, audit.findings.named
    assert len(stored(store.dsn)) == 400


async def test_a_restore_that_was_killed_goes_on_where_it_stopped(
    store: AuditedStore, files: Files
) -> None:
    await fill(store, files(400))
    before = contents(store.dsn)
    await drop_everything(store.dsn)
    crashing = start_process(store, kill_at=150)
    assert await asyncio.to_thread(crashing.wait, 60) == -signal.SIGKILL
    kept = len(stored(store.dsn))
    assert 150 <= kept < 400
    report = await store.restore()
    assert (report.stored, report.known) == (400 - kept, 0)
    assert contents(store.dsn) == before
    assert (await store.audit()).agrees


async def test_events_that_no_topic_has_are_not_thrown_away(
    store: AuditedStore, files: Files
) -> None:
    await fill(store, files(10))
    with unguarded(store.dsn) as connection:
        connection.execute("DROP TABLE IF EXISTS outbox")
        connection.execute("CREATE TABLE outbox (id text)")
        connection.execute("INSERT INTO outbox VALUES ('appended'), ('too')")
    with pytest.raises(OutboxNotEmpty, match="2 events wait in the outbox") as refusal:
        await store.restore()
    assert "relay" in refusal.value.remedy
    with psycopg.connect(store.dsn) as connection:
        assert connection.execute("SELECT count(*) FROM outbox").fetchone() == (2,)
        connection.execute("DELETE FROM outbox")
    assert (await store.restore()).known == 10


async def test_what_cannot_be_stored_is_told_and_holds_nothing_up(
    store: AuditedStore, files: Files
) -> None:
    events = files(20)
    store.publish(events[:10])
    await store.archive.put([b"no event"])
    store.publish(events[10:])
    await migrate(PostgresSettings(dsn=store.dsn))
    report = await store.restore()
    assert (report.stored, report.refused) == (20, 1)
    assert report.named[0].record.value == b"no event"


async def test_a_restore_from_another_kafka_is_refused(store: AuditedStore) -> None:
    await drain(store, 0)
    with psycopg.connect(store.dsn) as connection:
        connection.execute("DELETE FROM sink_offsets")
        connection.execute("INSERT INTO sink_offsets VALUES ('another', 0, 7, 1)")
    with pytest.raises(ForeignCluster, match="another"):
        await store.restore()
