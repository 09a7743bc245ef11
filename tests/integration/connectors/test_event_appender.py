from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest
from psycopg import sql

from connectors.audit_columns import compare_columns
from connectors.errors import DatabaseUnavailable, NotMigrated, RestoreUnfinished, Unstorable
from connectors.event_row import event_row
from connectors.postgres.audit_snapshot import PostgresAuditedStore
from connectors.postgres.database import Database
from connectors.postgres.event_appender import PostgresEventAppender
from connectors.postgres.migrations import migrate
from connectors.postgres.sink_target import PostgresSinkTarget
from connectors.settings import PostgresSettings
from connectors.sink_target import Batch, PlacedRow, Position
from schemas.codec import Codec
from streams.errors import VersionConflict
from streams.expectation import ANY_VERSION, NO_EVENTS, Appended, ExpectedVersion
from tests.contracts.accounts import CATALOG, credited, opened, versions
from tests.integration.connectors.cutting_proxy import MARK, Cut, cutting

pytestmark = pytest.mark.postgres

CODEC = Codec(CATALOG)
WRITERS = 50
APPENDS = 200


@pytest.fixture
async def database(fresh_database: str) -> AsyncIterator[Database]:
    """A migrated database."""
    settings = PostgresSettings(dsn=fresh_database, acquire_timeout_s=60)
    await migrate(settings)
    async with Database(settings) as opened_database:
        yield opened_database


def appender(database: Database) -> PostgresEventAppender:
    return PostgresEventAppender(database, CATALOG, Codec(CATALOG))


async def column(database: Database, query: str) -> list[object]:
    async with database.connection() as connection:
        found = await connection.execute(sql.SQL(query))
        return [row[0] for row in await found.fetchall()]


async def stored_versions(database: Database) -> list[object]:
    return await column(database, "SELECT aggregate_version FROM events ORDER BY 1")


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_fifty_writers_of_one_aggregate_get_each_version_once_and_nobody_starves(
    fresh_database: str,
) -> None:
    """As two processes, with two connections each."""
    settings = PostgresSettings(dsn=fresh_database, pool_size=2, acquire_timeout_s=60)
    await migrate(settings)
    won: list[int] = []
    appends: Counter[int] = Counter()
    at_half: Counter[int] = Counter()
    databases = [Database(settings) for _ in range(2)]
    appenders = [appender(await each.__aenter__()) for each in databases]

    async def write(writer: int) -> None:
        for _ in range(APPENDS):
            done = await appenders[writer % 2].append([credited("a", writer)], ANY_VERSION)
            won.append(done.version)
            appends[writer] += 1
            if len(won) == WRITERS * APPENDS // 2:
                at_half.update(appends)

    await asyncio.gather(*(write(writer) for writer in range(WRITERS)))
    assert sorted(won) == list(range(1, WRITERS * APPENDS + 1))
    assert await stored_versions(databases[0]) == sorted(won)
    assert await column(databases[0], "SELECT count(*) FROM outbox") == [WRITERS * APPENDS]
    assert min(at_half[writer] for writer in range(WRITERS)) >= 0.2 * APPENDS / 2
    for each in databases:
        await each.__aexit__()


@pytest.mark.slow
async def test_of_writers_that_expect_one_version_one_wins(database: Database) -> None:
    appending = appender(database)
    for version in range(20):
        results = await asyncio.gather(
            *(
                appending.append([credited("a", writer)], ExpectedVersion.exact(version))
                for writer in range(WRITERS)
            ),
            return_exceptions=True,
        )
        won = [result for result in results if isinstance(result, Appended)]
        lost = [result for result in results if isinstance(result, VersionConflict)]
        assert (len(won), len(lost)) == (1, WRITERS - 1)
        assert {conflict.actual for conflict in lost} == {version + 1}


async def test_a_commit_whose_answer_is_lost_is_neither_lost_nor_repeated(
    fresh_database: str,
) -> None:
    await migrate(PostgresSettings(dsn=fresh_database))
    outcomes: Counter[bool] = Counter()
    async with cutting(fresh_database) as (proxy, dsn):
        settings = PostgresSettings(dsn=dsn, pool_size=2, acquire_timeout_s=5)
        async with Database(settings) as behind_proxy:
            appending = appender(behind_proxy)
            for number in range(51):
                proxy.arm(list(Cut)[number % 3])
                command, expected = f"command-{number}", ExpectedVersion.exact(number)
                with pytest.raises(DatabaseUnavailable):
                    await appending.append(
                        [credited("a", number, note=MARK)], expected, command_id=command
                    )
                done = await appending.append(
                    [credited("a", number, note="again")], expected, command_id=command
                )
                assert done.version == number + 1
                outcomes[done.is_repeat] += 1
            assert proxy.cuts == 51
            assert await stored_versions(behind_proxy) == list(range(1, 52))
            assert await column(behind_proxy, "SELECT count(*) FROM outbox") == [51]
    # Every answer after a commit was a repeat, every lost statement none.
    assert outcomes[True] >= 17
    assert outcomes[False] >= 17


async def test_a_batch_is_rolled_back_whole_when_postgres_refuses_one_row(
    database: Database,
) -> None:
    async with database.connection() as connection:
        await connection.execute("ALTER TABLE events ADD CHECK (source <> 'refused')")
    good, bad = opened("a"), credited("a")
    bad = type(bad)(bad.envelope._replace(source="refused"), bad.data)
    with pytest.raises(Exception, match="check constraint"):
        await appender(database).append([good, bad], NO_EVENTS)
    assert await stored_versions(database) == []
    assert await column(database, "SELECT count(*) FROM outbox") == [0]


async def test_what_no_index_can_hold_is_refused_before_anything_is_sent(
    database: Database,
) -> None:
    for account in ("a\x00b", "x" * 1_001):
        with pytest.raises(Unstorable, match=r"aggregate\.id"):
            await appender(database).append([opened(account)], NO_EVENTS)
    assert await stored_versions(database) == []


async def test_the_longest_keys_fit_in_every_index(database: Database) -> None:
    event = opened("x" * 1_000)
    done = await appender(database).append([event], NO_EVENTS, command_id="c" * 500)
    again = await appender(database).append([event], NO_EVENTS, command_id="c" * 500)
    assert (done.version, again.is_repeat) == (1, True)


async def test_data_that_json_cannot_hold_is_null_and_its_bytes_are_kept(
    database: Database,
) -> None:
    events = [credited("a", rate=float("nan")), credited("a", note="a\x00b"), credited("a")]
    await appender(database).append(events, NO_EVENTS)
    await appender(database).append([credited("a", rate=1e308)], ANY_VERSION)
    kept = await column(database, "SELECT data ->> 'rate' FROM events ORDER BY aggregate_version")
    assert kept[:3] == [None, None, "1.0"]
    assert float(str(kept[3])) == 1e308


async def test_a_restore_by_the_sink_knows_the_commands_of_what_it_restores(
    database: Database,
) -> None:
    done = await appender(database).append([opened("a"), credited("a")], NO_EVENTS, command_id="c")
    framed = [CODEC.encode(event) for event in done.events]
    async with database.connection() as connection:
        await connection.execute("ALTER TABLE events DISABLE TRIGGER ALL")
        await connection.execute("DELETE FROM events")
        await connection.execute("ALTER TABLE events ENABLE TRIGGER ALL")
    target = PostgresSinkTarget(database)
    claims = await target.claim("kafka-1", [0])
    rows = [
        PlacedRow(position=Position(0, at), row=event_row(CODEC.view(value), value, with_json=True))
        for at, value in enumerate(framed)
    ]
    await target.store("kafka-1", Batch(rows=rows, claims=claims, next={0: 2}))
    again = await appender(database).append([opened("a")], NO_EVENTS, command_id="c")
    assert again == Appended(events=done.events, version=2, is_repeat=True)


async def test_what_was_appended_and_comes_back_through_kafka_is_one_event(
    database: Database,
) -> None:
    done = await appender(database).append([opened("a"), credited("a")], NO_EVENTS)
    target = PostgresSinkTarget(database)
    claims = await target.claim("kafka-1", [0])
    rows = [
        PlacedRow(
            position=Position(0, at),
            row=event_row(event, CODEC.encode(event), with_json=True),
        )
        for at, event in enumerate(done.events)
    ]
    stored = await target.store("kafka-1", Batch(rows=rows, claims=claims, next={0: 2}))
    assert stored == (0, 2)


async def test_columns_of_what_was_appended_are_what_its_bytes_say(database: Database) -> None:
    await appender(database).append([opened("a"), credited("a")], NO_EVENTS, command_id="c")
    async with PostgresAuditedStore(database, "kafka-1").snapshot() as snapshot:
        rows = [row async for part in snapshot.sampled() for row in part]
    compared = compare_columns(CODEC, rows)
    assert (compared.rows, compared.anomalies) == (2, ())


async def test_what_waits_for_the_relay_has_the_columns_of_debezium(database: Database) -> None:
    [event] = (await appender(database).append([opened("a")], NO_EVENTS)).events
    query = "SELECT id, aggregatetype, aggregateid, type, payload, topic, key FROM outbox"
    async with database.connection() as connection:
        found = await (await connection.execute(query)).fetchall()
    about = ("Account", "a", "account.opened")
    assert found == [(event.id, *about, CODEC.encode(event), event.topic, event.key)]


async def test_an_older_process_reads_the_first_result_of_a_newer_one(database: Database) -> None:
    """The schema of what was appended is kept beside it."""
    await appender(database).append([opened("a")], NO_EVENTS, command_id="c")
    older = Codec(CATALOG)
    schema_id = CATALOG.writer_schema("account.opened", "1.0.0").id
    del older._schemas[schema_id]
    repeated = await PostgresEventAppender(database, CATALOG, older).append(
        [credited("a")], NO_EVENTS, command_id="c"
    )
    assert versions(repeated.events) == [1]
    assert repeated.events[0].payload["owner"] == "Ada"


async def test_a_database_that_nobody_entered_opens_with_its_first_use(
    fresh_database: str,
) -> None:
    settings = PostgresSettings(dsn=fresh_database)
    await migrate(settings)
    of_a_module = Database(settings)
    appending = appender(of_a_module)
    done = await asyncio.gather(
        *(appending.append([opened(name)], NO_EVENTS) for name in ("a", "b", "c"))
    )
    assert [each.version for each in done] == [1, 1, 1]
    await of_a_module.__aexit__()
    with pytest.raises(DatabaseUnavailable):
        await appending.append([opened("d")], NO_EVENTS)


async def test_without_tables_it_says_what_to_do(fresh_database: str) -> None:
    async with Database(PostgresSettings(dsn=fresh_database)) as empty:
        with pytest.raises(NotMigrated):
            await appender(empty).append([opened("a")], NO_EVENTS)


async def test_nothing_is_appended_to_a_store_that_a_restore_is_filling(database: Database) -> None:
    store = appender(database)
    await store.append([opened("a")], NO_EVENTS)
    async with database.connection() as connection:
        await connection.execute(
            "INSERT INTO store_restores (topic_id, partition, next, until, epoch)"
            " VALUES ('kafka-1', 0, 0, 9, 1)"
        )
    for expected in (ExpectedVersion.exact(1), ANY_VERSION):
        for events in ([credited("a")], [credited("a"), credited("a")]):
            with pytest.raises(RestoreUnfinished):
                await store.append(events, expected)
    async with database.connection() as connection:
        await connection.execute("DELETE FROM store_restores")
    assert (await store.append([credited("a")], ExpectedVersion.exact(1))).version == 2


async def test_all_who_wait_for_one_aggregate_are_told_in_bounded_time(
    unused_tcp_port: int,
) -> None:
    dsn = f"postgresql://127.0.0.1:{unused_tcp_port}/nobody"
    loop = asyncio.get_running_loop()
    async with Database(PostgresSettings(dsn=dsn, acquire_timeout_s=0.5)) as away:
        store = appender(away)
        began = loop.time()
        waiting = [store.append([credited("a")], ANY_VERSION) for _ in range(8)]
        told = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(it) for it in told] == [DatabaseUnavailable] * 8
    assert loop.time() - began < 4 * 0.5
