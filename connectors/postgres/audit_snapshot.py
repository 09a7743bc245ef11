"""One moment of the event store, streamed out of Postgres for an audit."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final, LiteralString, TypeVar

from connectors.audit_comparison import Placed, Stored
from connectors.audit_ports import StoreSnapshot
from connectors.errors import ForeignCluster
from connectors.postgres.database import Connection, Database
from connectors.sql import QUERIES

AT_ONCE: Final = 2_000

Row = TypeVar("Row")


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

    def stored(self) -> AsyncIterator[Sequence[Stored]]:
        """See StoreSnapshot."""
        return self._rows(
            QUERIES["copy_stored_fingerprints"], ("text", "text", "text", "int8"), _stored
        )

    async def placed(self) -> AsyncIterator[Sequence[Placed]]:
        """See StoreSnapshot. Positions of other topics belong to a Kafka that is gone."""
        types = ("text", "text", "int4", "int8")
        async for rows in self._rows(QUERIES["copy_positions"], types, tuple):
            yield [_placed(row) for row in rows if row[0] == self._topic_id]

    async def outbox_ids(self) -> AsyncIterator[Sequence[str]]:
        """See StoreSnapshot; nothing in a database that has no outbox."""
        found = await (await self._connection.execute(QUERIES["outbox_exists"])).fetchone()
        if found is not None and found[0]:
            async for ids in self._rows(QUERIES["copy_outbox_ids"], ("text",), _first):
                yield ids

    async def _rows(
        self, query: LiteralString, types: Sequence[str], made: Callable[[Sequence[object]], Row]
    ) -> AsyncIterator[Sequence[Row]]:
        async with self._connection.cursor() as cursor, cursor.copy(query) as copy:
            copy.set_types(types)
            rows: list[Row] = []
            async for row in copy.rows():
                rows.append(made(row))
                if len(rows) == AT_ONCE:
                    yield rows
                    rows = []
            yield rows


def _stored(row: Sequence[object]) -> Stored:
    return Stored(*row)  # type: ignore[arg-type]  # the types are those of the query


def _placed(row: Sequence[object]) -> Placed:
    return Placed(*row[1:])  # type: ignore[arg-type]  # the types are those of the query


def _first(row: Sequence[object]) -> str:
    return str(row[0])


async def _next_offsets(connection: Connection, topic_id: str) -> Mapping[int, int]:
    found = await (await connection.execute(QUERIES["known_topic_ids"])).fetchall()
    known = {str(row[0]) for row in found}
    if known and topic_id not in known:
        raise ForeignCluster(topic_id, known)
    rows = await (
        await connection.execute(QUERIES["sink_progress"], {"topic_id": topic_id})
    ).fetchall()
    return {row[0]: row[1] for row in rows}
