"""No event is skipped and no aggregate out of order, however transactions overlap."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from pathlib import Path

import psycopg
import pytest

from connectors.outbox import OutboxRow, shard_of
from connectors.outbox_relay import OutboxRelay, RelayEdges, RelaySettings
from connectors.postgres.migrations import migrate
from connectors.settings import PostgresSettings
from infra.stack.postgres import start_postgres, stop_postgres
from schemas.codec import Codec
from streams.errors import VersionConflict
from streams.memory.log import MemoryLog, MemorySender
from streams.memory.schemas import MemoryWriterSchemas
from tests.contracts.accounts import CATALOG, credited, opened
from tests.integration.connectors.conftest import eventually
from tests.integration.connectors.sessions import outbox, session, take_all

pytestmark = pytest.mark.postgres

CODEC = Codec(CATALOG)
NEIGHBOUR = next(
    name for name in map(str, range(100)) if shard_of(f"Account/{name}") == shard_of("Account/x")
)
"""An account that shares a shard with `x`."""


@pytest.fixture
async def dsn(fresh_database: str) -> str:
    """A database with the tables, and with the writer schemas of accounts."""
    return await prepared(fresh_database)


async def prepared(dsn: str) -> str:
    await migrate(PostgresSettings(dsn=dsn))
    async with session(dsn) as one, outbox(dsn) as relay:
        await one.append(0, opened("first"), credited("first"))
        await take_all(relay)
    return dsn


def names(rows: Sequence[OutboxRow]) -> list[tuple[str, int]]:
    """Account and version of each row."""
    found = []
    for row in rows:
        aggregate = CODEC.view(row.payload).aggregate
        assert aggregate is not None
        found.append((aggregate.id, aggregate.version or 0))
    return found


async def test_a_late_commit_is_sent_though_rows_behind_it_were_sent_before(dsn: str) -> None:
    async with session(dsn) as late, session(dsn) as early, outbox(dsn) as relay:
        await late.run("BEGIN")
        await late.append(0, opened("x"))
        await early.append(0, opened(NEIGHBOUR))
        [sent_first] = await take_all(relay)
        assert names([sent_first]) == [(NEIGHBOUR, 1)]
        await late.run("COMMIT")
        [sent_last] = await take_all(relay)
        assert names([sent_last]) == [("x", 1)]
        assert sent_last.position < sent_first.position
        assert await take_all(relay) == []


async def test_a_hole_that_a_rollback_leaves_holds_nothing_back(dsn: str) -> None:
    async with session(dsn) as gone, session(dsn) as other, outbox(dsn) as relay:
        await gone.run("BEGIN")
        await gone.append(0, opened(NEIGHBOUR))
        await other.append(0, opened("x"))
        await gone.run("ROLLBACK")
        await other.append(1, credited("x"))
        assert names(await take_all(relay)) == [("x", 1), ("x", 2)]


async def test_a_writer_that_took_its_transaction_id_early_is_not_sent_first(dsn: str) -> None:
    async with session(dsn) as early, session(dsn) as other, outbox(dsn) as relay:
        await early.run("BEGIN")
        await early.run("SELECT pg_current_xact_id()")
        await other.append(0, opened("x"))
        await early.append(1, credited("x"))
        await early.run("COMMIT")
        by_transaction = await other.raw.execute(
            "SELECT type FROM outbox ORDER BY xmin::text::int8"
        )
        # What an order by transaction ids would send:
        assert await by_transaction.fetchall() == [("account.credited",), ("account.opened",)]
        assert names(await take_all(relay)) == [("x", 1), ("x", 2)]


async def test_a_snapshot_older_than_the_last_version_cannot_append(dsn: str) -> None:
    async with session(dsn) as old, session(dsn) as other:
        await old.run("BEGIN ISOLATION LEVEL REPEATABLE READ")
        await old.run("SELECT count(*) FROM events")
        await other.append(0, opened("x"))
        with pytest.raises(VersionConflict):
            await old.append(1, credited("x"))


async def test_a_writer_waits_for_the_outcome_of_the_one_before_it(dsn: str) -> None:
    async with session(dsn) as one, session(dsn) as other, outbox(dsn) as relay:
        await one.run("BEGIN")
        await one.append(0, opened("x"))
        second = asyncio.create_task(other.append(0, opened("x")))
        await until_blocked(dsn, 1)
        await one.run("ROLLBACK")
        await second
        assert names(await take_all(relay)) == [("x", 1)]


async def until_blocked(dsn: str, sessions: int) -> None:
    """Wait until so many sessions of the database wait for a lock."""
    async with session(dsn) as watching, asyncio.timeout(10):
        while (
            await watching.run(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            != sessions
        ):
            pass


async def test_a_long_transaction_of_another_database_delays_nothing_and_is_seen(
    dsn: str, postgres_dsn: str
) -> None:
    async with session(postgres_dsn) as other, session(dsn) as one, outbox(dsn) as relay:
        await other.run("BEGIN")
        await other.run("CREATE TABLE of_a_long_transaction ()")
        await one.append(0, opened("x"))
        assert names(await take_all(relay)) == [("x", 1)]
        seen = await relay.delay()
        assert seen.horizon_s > 0
        assert seen.holder_s == 0
        await other.run("ROLLBACK")


async def test_a_transaction_that_has_appended_holds_its_own_aggregate_back_and_is_seen(
    dsn: str,
) -> None:
    async with session(dsn) as slow, session(dsn) as one, outbox(dsn) as relay:
        await slow.run("BEGIN")
        await slow.append(0, opened("slow"))
        await one.append(0, opened("x"))
        seen = await relay.delay()
        assert seen.holder_s > 0
        assert (seen.waiting, seen.oldest_s > 0) == (1, True)
        assert names(await take_all(relay)) == [("x", 1)]
        await slow.run("ROLLBACK")
        assert (await relay.delay()).holder_s == 0


async def test_a_lock_on_the_outbox_is_seen_while_it_hides_the_rows(dsn: str) -> None:
    async with session(dsn) as locking, outbox(dsn) as relay:
        await locking.run("BEGIN")
        await locking.run("LOCK TABLE outbox IN ACCESS EXCLUSIVE MODE")
        seen = await relay.delay()
        assert seen.holder_s > 0
        assert seen.oldest_s == seen.holder_s
        await locking.run("ROLLBACK")


@pytest.mark.slow
async def test_a_prepared_transaction_holds_its_own_aggregate_back_and_is_seen(
    tmp_path: Path,
) -> None:
    try:
        with psycopg.connect(start_postgres(tmp_path).dsn, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET max_prepared_transactions = 4")
        stop_postgres(tmp_path)
        dsn = await prepared(start_postgres(tmp_path).dsn)
        async with session(dsn) as two_phase, session(dsn) as one, outbox(dsn) as relay:
            await two_phase.run("BEGIN")
            await two_phase.append(0, opened("prepared"))
            await two_phase.run("PREPARE TRANSACTION 'p'")
            await one.append(0, opened("x"))
            assert names(await take_all(relay)) == [("x", 1)]
            assert (await relay.delay()).holder_s > 0
            await two_phase.run("COMMIT PREPARED 'p'")
            assert names(await take_all(relay)) == [("prepared", 1)]
            assert (await relay.delay()).holder_s == 0
    finally:
        stop_postgres(tmp_path)


@pytest.mark.slow
async def test_sixty_four_writers_that_dawdle_and_roll_back_lose_and_disorder_nothing(
    dsn: str,
) -> None:
    log, chance, stop = MemoryLog(), random.Random(20260102), asyncio.Event()
    committed: dict[str, int] = {}
    async with outbox(dsn) as opened_outbox:
        edges = RelayEdges(
            outbox=opened_outbox,
            sender=MemorySender(log),
            schemas=MemoryWriterSchemas(log, Codec(CATALOG), wait_s=0),
        )
        relay = OutboxRelay(edges, RelaySettings(batch_rows=20))
        running = asyncio.create_task(relay.run(stop))
        writers = [write_and_dawdle(dsn, f"a{n % 16}", chance, committed) for n in range(64)]
        await asyncio.gather(*writers)
        total = sum(committed.values())
        await eventually(lambda: relay.status.sent >= total)
        stop.set()
        await running
    sent: dict[str, list[int]] = {}
    for record in log.topic("events.domain.high"):
        aggregate = CODEC.view(record.value or b"").aggregate
        assert aggregate is not None
        sent.setdefault(aggregate.id, []).append(aggregate.version or 0)
    assert sent == {account: list(range(1, n + 1)) for account, n in committed.items()}
    assert total >= 64


async def write_and_dawdle(
    dsn: str, account: str, chance: random.Random, committed: dict[str, int]
) -> None:
    """Five transactions that commit late, one in ten not at all; each decides after a conflict."""
    async with session(dsn) as writer:
        for _ in range(5):
            expected = 0
            while True:
                await writer.run("BEGIN")
                await writer.run(f"SELECT pg_sleep({chance.uniform(0, 0.01)})")
                try:
                    await writer.append(expected, credited(account))
                except VersionConflict as conflict:
                    expected = conflict.actual
                    await writer.run("ROLLBACK")
                    continue
                except psycopg.errors.InFailedSqlTransaction:
                    await writer.run("ROLLBACK")
                    continue
                await writer.run(f"SELECT pg_sleep({chance.uniform(0, 0.01)})")
                if chance.random() < 0.1:
                    await writer.run("ROLLBACK")
                else:
                    await writer.run("COMMIT")
                    committed[account] = committed.get(account, 0) + 1
                break
