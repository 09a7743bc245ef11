"""Writes rows of events and positions within a transaction that somebody else guards.

Straight into the tables while nothing is known already: that is the rule, and three times as fast.
Else by way of a staging table, which drops repeats and tells who has taken a version.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any, Final, LiteralString

from psycopg import errors

from connectors.errors import AlreadyKnown, Fenced, ForeignCluster, VersionTaken
from connectors.event_row import EventRow
from connectors.postgres.binary_copy import write_rows
from connectors.postgres.database import Connection, Database
from connectors.sink_target import Batch, PlacedRow, Stored
from connectors.sql import QUERIES

EVENT_TYPES: Final = (
    *("text", "text", "text", "int2", "text", "int4", "timestamptz", "text"),
    *("text", "text", "text", "text", "int8", "text", "text", "bytea", "bytea", "text"),
)
_POSITION_TYPES: Final = ("text", "int4", "int8", "text")
_JSONB: Final = b"\x01"
"""The version of Postgres' binary form of jsonb, which stands before its text."""

_DATA: Final = EventRow._fields.index("data")

Advance = Callable[[Connection], Awaitable[None]]
"""Moves the offsets that guard a batch, within its transaction. Raises Fenced."""


async def store_batch(database: Database, topic_id: str, batch: Batch, advance: Advance) -> Stored:
    """Advance, and store what is new, in one transaction. Raises Fenced or VersionTaken."""
    versioned = [placed for placed in batch.rows if placed.row.aggregate_version is not None]
    try:
        # Appended events were stored by their append: as a rule they are known, the others are not.
        fresh = [placed for placed in batch.rows if placed.row.aggregate_version is None]
        async with database.transaction() as connection:
            await advance(connection)
            await _copy(connection, topic_id, fresh)
            new = len(fresh) + await _insert(connection, topic_id, versioned)
    except AlreadyKnown:
        async with database.transaction() as connection:
            await advance(connection)
            new = await _insert(connection, topic_id, batch.rows)
    return Stored(new=new, repeated=len(batch.rows) - new)


async def advance_offsets(
    connection: Connection, query: LiteralString, topic_id: str, batch: Batch
) -> None:
    """Compare-and-set by this query, which returns the partitions that it moved. Raises Fenced."""
    partitions = sorted(batch.next)
    moved = await connection.execute(
        query,
        {
            "topic_id": topic_id,
            "partitions": partitions,
            "expected": [batch.claims[partition].next for partition in partitions],
            "next": [batch.next[partition] for partition in partitions],
            "epochs": [batch.claims[partition].epoch for partition in partitions],
        },
    )
    refused = set(partitions) - {row[0] for row in await moved.fetchall()}
    if refused:
        raise Fenced(refused)


async def refuse_foreign(connection: Connection, topic_id: str) -> None:
    """Raise ForeignCluster when the database was filled from other topics, and not from this."""
    found = await (await connection.execute(QUERIES["known_topic_ids"])).fetchall()
    known = {str(row[0]) for row in found}
    if known and topic_id not in known:
        raise ForeignCluster(topic_id, known)


async def _copy(connection: Connection, topic_id: str, rows: Sequence[PlacedRow]) -> None:
    if not rows:
        return
    with _refused_when_known():
        await _stream(
            connection, QUERIES["copy_events"], EVENT_TYPES, [event_columns(it.row) for it in rows]
        )
        await _stream(
            connection,
            QUERIES["copy_event_positions"],
            _POSITION_TYPES,
            [(topic_id, *it.position, it.row.event_id) for it in rows],
        )


async def _insert(connection: Connection, topic_id: str, rows: Sequence[PlacedRow]) -> int:
    if not rows:
        return 0
    await connection.execute(QUERIES["ensure_staging"])
    await _stream(
        connection,
        QUERIES["copy_staged_events"],
        ("int4", "int8", *EVENT_TYPES),
        [(*it.position, *event_columns(it.row)) for it in rows],
    )
    inserted = await connection.execute(QUERIES["insert_staged_events"])
    new = inserted.rowcount
    if new < len(rows):
        missing = await connection.execute(QUERIES["staged_but_not_stored"])
        taken = list(chain.from_iterable(await missing.fetchall()))
        if taken:
            raise VersionTaken(taken)
    await connection.execute(QUERIES["insert_staged_positions"], {"topic_id": topic_id})
    return new


def event_columns(row: EventRow) -> tuple[Any, ...]:
    """What is copied for a row, in the order of its columns and of EVENT_TYPES."""
    if row.data is None:
        return row
    return (*row[:_DATA], _JSONB + row.data.encode(), *row[_DATA + 1 :])


async def _stream(
    connection: Connection,
    query: LiteralString,
    types: Sequence[str],
    rows: list[tuple[Any, ...]],
) -> None:
    async with connection.cursor() as cursor, cursor.copy(query) as copy:
        await write_rows(copy, types, rows)


@contextmanager
def _refused_when_known() -> Iterator[None]:
    try:
        yield
    except errors.UniqueViolation as error:
        raise AlreadyKnown from error
