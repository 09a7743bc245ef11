"""A restore in Postgres: rows are added, and none is ever removed or changed."""

from collections.abc import Mapping

from connectors.errors import OutboxNotEmpty
from connectors.postgres.database import Connection, Database
from connectors.postgres.event_rows import advance_offsets, refuse_foreign, store_batch
from connectors.restore_target import Remaining, Restored
from connectors.sink_target import Batch, Claim
from connectors.sql import QUERIES


class PostgresRestoreTarget:
    """Implements RestoreTarget."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, topic_id: str, ends: Mapping[int, int]) -> Mapping[int, Remaining]:
        """See RestoreTarget."""
        async with self._database.transaction() as connection:
            await refuse_foreign(connection, topic_id)
            await _refuse_waiting(connection)
            partitions = sorted(ends)
            claimed = await connection.execute(
                QUERIES["claim_restore"],
                {
                    "topic_id": topic_id,
                    "partitions": partitions,
                    "ends": [ends[partition] for partition in partitions],
                },
            )
            return {
                partition: Remaining(Claim(next=following, epoch=epoch), until)
                for partition, following, until, epoch in await claimed.fetchall()
            }

    async def store(self, topic_id: str, batch: Batch) -> Restored:
        """See RestoreTarget."""
        passed_by: frozenset[str] = frozenset()

        async def advance(connection: Connection) -> None:
            nonlocal passed_by
            await advance_offsets(connection, QUERIES["advance_restore"], topic_id, batch)
            passed_by = await _passed_by(connection, topic_id, batch)

        stored = await store_batch(self._database, topic_id, batch, advance)
        return Restored(stored, passed_by)

    async def end(self, topic_id: str) -> None:
        """See RestoreTarget."""
        async with self._database.transaction() as connection:
            await connection.execute(QUERIES["raise_sink_offsets"], {"topic_id": topic_id})
            await connection.execute(QUERIES["end_restore"], {"topic_id": topic_id})


async def _passed_by(connection: Connection, topic_id: str, batch: Batch) -> frozenset[str]:
    """The projections that are past places which are about to be filled."""
    places = [placed.position for placed in batch.rows]
    found = await connection.execute(
        QUERIES["projections_past_missing"],
        {
            "topic_id": topic_id,
            "partitions": [place.partition for place in places],
            "offsets": [place.offset for place in places],
        },
    )
    return frozenset(str(row[0]) for row in await found.fetchall())


async def _refuse_waiting(connection: Connection) -> None:
    """Raise OutboxNotEmpty while events wait that no topic has yet."""
    found = await (await connection.execute(QUERIES["outbox_exists"])).fetchone()
    if found is None or not found[0]:
        return
    size = await (await connection.execute(QUERIES["outbox_size"])).fetchone()
    if size is not None and size[0]:
        raise OutboxNotEmpty(size[0])
