from dataclasses import replace
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from connectors.errors import (
    AppendOnly,
    DatabaseRefused,
    EventNotFound,
    Fenced,
    MigrationChanged,
    VersionTaken,
)
from connectors.event_row import event_row
from connectors.postgres.database import Database
from connectors.postgres.event_store import Cursor, PostgresEventStore
from connectors.postgres.migrations import migrate
from connectors.postgres.sink_target import PostgresSinkTarget
from connectors.settings import READER_ROLE, WRITER_ROLE, PostgresSettings
from connectors.sink_target import Batch, Claim, PlacedRow, Position
from connectors.sql import Migration, load_migrations
from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.event import Event
from streams.memory.log import MemoryLog
from streams.memory.schemas import MemoryWriterSchemas
from tests.integration.connectors.test_store_sink import Files

pytestmark = pytest.mark.postgres

CODEC = Codec(Catalog.load())
SCHEMAS = MemoryWriterSchemas(MemoryLog(), CODEC, wait_s=0)


def placed(event: Event[Any], offset: int, version: int | None = None) -> PlacedRow:
    framed = CODEC.encode(event)
    row = event_row(CODEC.view(framed), framed, with_json=True)
    return PlacedRow(position=Position(0, offset), row=row._replace(aggregate_version=version))


async def fill(database: Database, events: list[Event[Any]]) -> PostgresSinkTarget:
    target = PostgresSinkTarget(database)
    claims = await target.claim("kafka-1", [0])
    rows = [placed(event, offset) for offset, event in enumerate(events)]
    await target.store("kafka-1", Batch(rows=rows, claims=claims, next={0: len(rows)}))
    return target


async def test_migrations_apply_once_and_refuse_changed_files(fresh_database: str) -> None:
    settings = PostgresSettings(dsn=fresh_database)
    known = load_migrations()
    assert await migrate(settings) == [migration.name for migration in known]
    assert await migrate(settings) == []
    changed = Migration(name=known[0].name, statements="SELECT 1")
    with pytest.raises(MigrationChanged, match=known[0].name):
        await migrate(settings, [changed])


async def test_stored_events_are_found_by_every_question(fresh_database: str, files: Files) -> None:
    settings = PostgresSettings(dsn=fresh_database)
    await migrate(settings)
    events = files(30)
    async with Database(settings) as database:
        await fill(database, events)
        store = PostgresEventStore(database, CODEC, SCHEMAS)
        assert (await store.get_event(events[3].id)).payload == events[3].payload
        assert await store.get_events(None, "f3.py") == [events[3], events[13], events[23]]
        assert await store.get_events("Analysis", "f3.py") == []
        assert set(await store.get_events_by_correlation("run-1")) == set(events)
        assert set(await store.stored_ids("run-1")) == {event.id for event in events}
        assert len(await store.recent("analysis.*", limit=7)) == 7
        assert await store.recent("system.*") == []
        assert await store.recent(since=events[-1].timestamp + timedelta(seconds=1)) == []
        followed = [item async for item in store.follow(Cursor("kafka-1", 0, 10))]
        assert [event for _, event in followed] == events[10:]
        assert followed[-1][0] == Cursor("kafka-1", 0, 30)
        with pytest.raises(EventNotFound, match="nobody"):
            await store.get_event("nobody")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events SET type = ''",
        "DELETE FROM events",
        "TRUNCATE events",
        "TRUNCATE event_positions",
    ],
)
async def test_stored_events_cannot_be_changed(
    fresh_database: str, files: Files, statement: Any
) -> None:
    settings = PostgresSettings(dsn=fresh_database)
    await migrate(settings)
    async with Database(settings) as database:
        await fill(database, files(3))
        with pytest.raises(AppendOnly):
            async with database.transaction() as connection:
                await connection.execute(statement)
    with psycopg.connect(fresh_database) as plain:
        assert plain.execute("SELECT count(*) FROM events").fetchone() == (3,)


async def test_a_batch_of_an_earlier_owner_or_offset_is_refused_whole(
    fresh_database: str, files: Files
) -> None:
    settings = PostgresSettings(dsn=fresh_database)
    await migrate(settings)
    events = files(4)
    async with Database(settings) as database:
        target = await fill(database, events[:2])
        claims = await target.claim("kafka-1", [0])
        assert claims == {0: Claim(next=2, epoch=2)}
        for stale in (Claim(next=2, epoch=1), Claim(next=0, epoch=2)):
            batch = Batch(rows=[placed(events[2], 2)], claims={0: stale}, next={0: 3})
            with pytest.raises(Fenced):
                await target.store("kafka-1", batch)
        store = PostgresEventStore(database, CODEC, SCHEMAS)
        assert len(await store.stored_ids("run-1")) == 2


async def test_rows_that_are_known_in_part_are_completed_and_counted(
    fresh_database: str, files: Files
) -> None:
    """New ones, one that is known, one twice in a batch, and positions that a restore wrote."""
    settings = PostgresSettings(dsn=fresh_database)
    await migrate(settings)
    events = files(6)
    async with Database(settings) as database:
        target = await fill(database, events[:3])
        claims = await target.claim("kafka-1", [0])
        with psycopg.connect(fresh_database) as plain:
            insert = "INSERT INTO event_positions VALUES ('kafka-1', 0, 3, %s)"
            plain.execute(insert, [events[1].id])
        again = [events[1], events[3], events[3], events[4]]
        rows = [placed(event, 3 + number) for number, event in enumerate(again)]
        rows.append(placed(events[5], 7, version=1))
        stored = await target.store("kafka-1", Batch(rows=rows, claims=claims, next={0: 8}))
        assert stored == (3, 2)
        store = PostgresEventStore(database, CODEC, SCHEMAS)
        followed = [event async for _, event in store.follow(Cursor("kafka-1", 0, 0))]
        assert followed == [*events[:3], *again, events[5]]


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        (WRITER_ROLE, "UPDATE events SET type = ''"),
        (WRITER_ROLE, "DELETE FROM events"),
        (WRITER_ROLE, "TRUNCATE events"),
        (WRITER_ROLE, "DELETE FROM event_positions"),
        (WRITER_ROLE, "ALTER TABLE events DISABLE TRIGGER ALL"),
        (WRITER_ROLE, "DROP TABLE events"),
        (READER_ROLE, "INSERT INTO sink_offsets VALUES ('k', 0, 0, 1)"),
        (READER_ROLE, "DELETE FROM events"),
    ],
)
async def test_a_service_may_add_events_and_change_none(
    fresh_database: str, files: Files, role: str, statement: Any
) -> None:
    """Refused for want of rights: before any trigger is asked, and none can be switched off."""
    settings = PostgresSettings(dsn=fresh_database)
    await migrate(settings)
    async with Database(replace(settings, role=WRITER_ROLE)) as writing:
        await fill(writing, files(3))
    async with Database(replace(settings, role=role)) as database:
        with pytest.raises(DatabaseRefused, match=r"permission denied|must be owner"):
            async with database.transaction() as connection:
                await connection.execute(statement)
        async with database.transaction() as connection:
            counted = await connection.execute("SELECT count(*) FROM events")
            assert await counted.fetchone() == (3,)


async def test_two_events_with_one_version_of_an_aggregate_are_told_apart(
    fresh_database: str, files: Files
) -> None:
    settings = PostgresSettings(dsn=fresh_database)
    await migrate(settings)
    events = files(11)
    async with Database(settings) as database:
        target = PostgresSinkTarget(database)
        claims = await target.claim("kafka-1", [0])
        rows = [placed(events[0], 0, version=1), placed(events[10], 1, version=1)]
        with pytest.raises(VersionTaken) as refusal:
            await target.store("kafka-1", Batch(rows=rows, claims=claims, next={0: 2}))
        assert refusal.value.event_ids == {events[10].id}
        stored = await target.store("kafka-1", Batch(rows=rows[:1], claims=claims, next={0: 2}))
        assert stored == (1, 0)
