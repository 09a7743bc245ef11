"""The sink's transaction in Postgres: offsets by compare-and-set first, then rows and positions."""

from collections.abc import Iterable, Mapping
from functools import partial

from connectors.postgres.database import Database
from connectors.postgres.event_rows import advance_offsets, refuse_foreign, store_batch
from connectors.sink_target import Batch, Claim, Stored
from connectors.sql import QUERIES


class PostgresSinkTarget:
    """Implements SinkTarget."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def claim(self, topic_id: str, partitions: Iterable[int]) -> Mapping[int, Claim]:
        """See SinkTarget."""
        async with self._database.transaction() as connection:
            await refuse_foreign(connection, topic_id)
            claimed = await connection.execute(
                QUERIES["claim_partitions"],
                {"topic_id": topic_id, "partitions": sorted(partitions)},
            )
            return {row[0]: Claim(next=row[1], epoch=row[2]) for row in await claimed.fetchall()}

    async def store(self, topic_id: str, batch: Batch) -> Stored:
        """See SinkTarget."""
        advance = partial(
            advance_offsets, query=QUERIES["advance_offsets"], topic_id=topic_id, batch=batch
        )
        return await store_batch(self._database, topic_id, batch, advance)
