"""The database side of catch-up subscriptions: stored records by offset, and checkpoints."""

from collections.abc import Mapping, Sequence

from connectors.catch_up import CatchUpBatch, StoredPage, StoredRecord
from connectors.errors import CheckpointMoved
from connectors.page import PAGE_BYTES
from connectors.postgres.database import Connection, Database
from connectors.sql import QUERIES


class PostgresStoredRecords:
    """Implements StoredRecords."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, topic_id: str, partition: int, offset: int, rows: int) -> StoredPage:
        """See StoredRecords."""
        place = {"topic_id": topic_id, "partition": partition}
        async with self._database.transaction() as connection:
            # First how far the sink is: the statement after it sees at least what is below.
            stored = await (await connection.execute(QUERIES["sink_position"], place)).fetchone()
            found = await connection.execute(
                QUERIES["stored_records"],
                {**place, "offset": offset, "rows": rows, "bytes": PAGE_BYTES},
            )
            records = [StoredRecord(*row) for row in await found.fetchall()]
        return StoredPage(records, 0 if stored is None else stored[0])

    async def ids_before(
        self, topic_id: str, partition: int, offset: int, limit: int
    ) -> Sequence[str]:
        """See StoredRecords."""
        async with self._database.transaction() as connection:
            found = await connection.execute(
                QUERIES["ids_before"],
                {"topic_id": topic_id, "partition": partition, "offset": offset, "limit": limit},
            )
            return [row[0] for row in reversed(await found.fetchall())]


class PostgresCheckpoints:
    """Keeps the checkpoints of subscriptions; a subscription is told by its name."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self, subscription: str, topic_id: str) -> Mapping[int, int]:
        """Where to go on, by partition; a partition without an offset was never read."""
        async with self._database.transaction() as connection:
            found = await connection.execute(
                QUERIES["load_checkpoints"], {"subscription": subscription, "topic_id": topic_id}
            )
            return {row[0]: row[1] for row in await found.fetchall()}

    async def save(self, subscription: str, batch: CatchUpBatch) -> None:
        """Move behind a batch that was worked on. Raises CheckpointMoved."""
        async with self._database.transaction() as connection:
            await self.advance(connection, subscription, batch)

    @staticmethod
    async def advance(connection: Connection, subscription: str, batch: CatchUpBatch) -> None:
        """Move behind a batch in the transaction of its work; first, or last, as you like.

        Raises CheckpointMoved when the checkpoint is not where the batch begins: roll back then.
        """
        moved = await connection.execute(
            QUERIES["advance_checkpoint"],
            {
                "subscription": subscription,
                "topic_id": batch.topic_id,
                "partition": batch.partition,
                "expected": batch.previous,
                "next": batch.next,
            },
        )
        if await moved.fetchone() is None:
            raise CheckpointMoved(subscription, batch.partition, batch.previous)
