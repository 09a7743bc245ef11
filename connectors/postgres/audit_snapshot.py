"""One moment of the event store, streamed out of Postgres for an audit."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, LiteralString, cast

from connectors.audit_ports import StoredRow, StoreSnapshot
from connectors.event_row import EventRow
from connectors.postgres.database import Connection, Database
from connectors.postgres.event_rows import refuse_foreign
from connectors.sql import QUERIES

AT_ONCE: Final = 2_000

EVENTS_AT_ONCE: Final = 250
"""Whole events are larger, and any of them may have a megabyte."""

SAMPLED_BLOCKS: Final = 400
"""About how many blocks of the table have their columns examined: a fraction of a second's work."""


class PostgresAuditedStore:
    """Implements AuditedStore."""

    def __init__(self, database: Database, topic_id: str) -> None:
        """`topic_id` is Kafka's id of `store.events`. The database's statements must have time."""
        self._database = database
        self._topic_id = topic_id

    async def next_offsets(self) -> Mapping[int, int]:
        """See AuditedStore."""
        async with self._database.transaction() as connection:
            return await _next_offsets(connection, self._topic_id)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[StoreSnapshot]:
        """See AuditedStore."""
        async with self._database.transaction() as connection:
            await connection.execute(QUERIES["begin_audit"])
            offsets = await _next_offsets(connection, self._topic_id)
            yield PostgresSnapshot(connection, self._topic_id, offsets)


class PostgresSnapshot:
    """Implements StoreSnapshot over one transaction."""

    def __init__(
        self, connection: Connection, topic_id: str, next_offsets: Mapping[int, int]
    ) -> None:
        self._connection = connection
        self._topic_id = topic_id
        self.next_offsets = next_offsets

    async def stored(self) -> AsyncIterator[Sequence[StoredRow]]:
        """See StoreSnapshot."""
        async for rows in self._rows(QUERIES["stored_fingerprints"]):
            yield cast("Sequence[StoredRow]", rows)

    async def sampled(self) -> AsyncIterator[Sequence[EventRow]]:
        """See StoreSnapshot."""
        async for rows in self._rows(QUERIES["sampled_events"], EVENTS_AT_ONCE):
            yield [EventRow(*row) for row in rows]

    async def outbox_ids(self) -> AsyncIterator[Sequence[str]]:
        """See StoreSnapshot; nothing in a database that has no outbox."""
        found = await (await self._connection.execute(QUERIES["outbox_exists"])).fetchone()
        if found is not None and found[0]:
            async for rows in self._rows(QUERIES["outbox_ids"]):
                yield [row[0] for row in rows]

    async def _rows(
        self, query: LiteralString, at_once: int = AT_ONCE
    ) -> AsyncIterator[Sequence[tuple[Any, ...]]]:
        """Streamed by a cursor of the server: a part at a time is in memory."""
        async with self._connection.cursor("audit", binary=True) as cursor:
            await cursor.execute(query, {"topic_id": self._topic_id, "blocks": SAMPLED_BLOCKS})
            while rows := await cursor.fetchmany(at_once):
                yield rows


async def _next_offsets(connection: Connection, topic_id: str) -> Mapping[int, int]:
    await refuse_foreign(connection, topic_id)
    rows = await (
        await connection.execute(QUERIES["sink_progress"], {"topic_id": topic_id})
    ).fetchall()
    return {row[0]: row[1] for row in rows}
