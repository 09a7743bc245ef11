"""Explicit sessions on PostgreSQL, for tests in which transactions overlap in a given way."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

from psycopg import AsyncConnection

from connectors.outbox import SHARDS, OutboxRow
from connectors.postgres.binary_array import let_send_arrays
from connectors.postgres.database import Connection, Database
from connectors.postgres.event_appender import PostgresEventAppender
from connectors.postgres.outbox import PostgresOutbox
from connectors.settings import PostgresSettings
from schemas.codec import Codec
from schemas.event import Event
from streams.expectation import ExpectedVersion
from tests.contracts.accounts import CATALOG

ANY_SHARD = range(SHARDS)


class Session:
    """One session, in whose transaction an appender writes; stands for a Database."""

    acquire_timeout_s = 60.0

    def __init__(self, connection: Connection) -> None:
        self.raw = connection
        self._appender = PostgresEventAppender(cast(Database, self), CATALOG, Codec(CATALOG))

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        yield self.raw

    async def run(self, statement: Any) -> Any:
        """Run a statement; gives the first value of its first row, if it has any."""
        done = await self.raw.execute(statement)
        row = await done.fetchone() if done.description else None
        return row[0] if row else None

    async def append(self, version: int, *events: Event[Any]) -> None:
        """Append behind a version, within the transaction that is open."""
        await self._appender.append(events, ExpectedVersion.exact(version))


@asynccontextmanager
async def session(dsn: str) -> AsyncIterator[Session]:
    """A session of its own, without a transaction yet."""
    async with await AsyncConnection.connect(dsn, autocommit=True) as connection:
        let_send_arrays(connection)
        yield Session(connection)


@asynccontextmanager
async def outbox(dsn: str, silent_s: float = 10.0) -> AsyncIterator[PostgresOutbox]:
    """The outbox as a relay has it."""
    settings = PostgresSettings(dsn=dsn, pool_size=2)
    async with Database(settings) as database:
        yield PostgresOutbox(settings=settings, database=database, silent_s=silent_s)


async def take_all(opened: PostgresOutbox) -> list[OutboxRow]:
    """What a relay would send now, shard by shard, and its removal."""
    taken: list[OutboxRow] = []
    for shard in ANY_SHARD:
        owned = await opened.claim(shard)
        assert owned is not None
        rows = await owned.unsent(1000)
        await owned.remove(rows)
        await owned.release()
        taken += rows
    return taken
