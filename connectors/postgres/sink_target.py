"""The sink's transaction in Postgres: offsets by compare-and-set first, then rows and positions."""

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Final

from connectors.errors import Fenced, ForeignCluster, VersionTaken
from connectors.postgres.database import Connection, Database
from connectors.sink_target import Batch, Claim, Stored
from connectors.sql import QUERIES

_STAGED_TYPES: Final = (
    *("text", "text", "text", "int2", "text", "int4", "timestamptz", "text"),
    *("text", "text", "text", "text", "int8", "text", "text", "bytea", "text", "text", "int4"),
)
_POSITION_TYPES: Final = ("text", "int4", "int8", "text")


class PostgresSinkTarget:
    """Implements SinkTarget. One COPY into a staging table per batch, then one INSERT."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, topic_id: str, partitions: Iterable[int]) -> Mapping[int, Claim]:
        """See SinkTarget."""
        async with self._database.transaction() as connection:
            found = await (await connection.execute(QUERIES["known_topic_ids"])).fetchall()
            known = {str(row[0]) for row in found}
            if known and topic_id not in known:
                raise ForeignCluster(topic_id, known)
            claimed = await connection.execute(
                QUERIES["claim_partitions"],
                {"topic_id": topic_id, "partitions": sorted(partitions)},
            )
            return {row[0]: Claim(next=row[1], epoch=row[2]) for row in await claimed.fetchall()}

    async def store(self, topic_id: str, batch: Batch) -> Stored:
        """See SinkTarget."""
        async with self._database.transaction() as connection:
            await _advance(connection, topic_id, batch)
            if not batch.rows:
                return Stored(new=0, repeated=0)
            new = await _insert(connection, batch)
            await _place(connection, topic_id, batch)
            return Stored(new=new, repeated=len(batch.rows) - new)


async def _advance(connection: Connection, topic_id: str, batch: Batch) -> None:
    partitions = sorted(batch.next)
    moved = await connection.execute(
        QUERIES["advance_offsets"],
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


async def _insert(connection: Connection, batch: Batch) -> int:
    await connection.execute(QUERIES["ensure_staging"])
    async with connection.cursor() as cursor:
        async with cursor.copy(QUERIES["copy_staged_events"]) as copy:
            copy.set_types(_STAGED_TYPES)
            for ordinal, placed in enumerate(batch.rows):
                await copy.write_row((*placed.row, ordinal))
        await cursor.execute(QUERIES["insert_staged_events"])
        new = cursor.rowcount
        if new < len(batch.rows):
            await cursor.execute(QUERIES["staged_but_not_stored"])
            lost = list(chain.from_iterable(await cursor.fetchall()))
            if lost:
                raise VersionTaken(lost)
        return new


async def _place(connection: Connection, topic_id: str, batch: Batch) -> None:
    async with (
        connection.cursor() as cursor,
        cursor.copy(QUERIES["copy_event_positions"]) as copy,
    ):
        copy.set_types(_POSITION_TYPES)
        for placed in batch.rows:
            await copy.write_row((topic_id, *placed.position, placed.row.event_id))
