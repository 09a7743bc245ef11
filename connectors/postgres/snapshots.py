"""Snapshots in Postgres, beside the events that they are derived from."""

from connectors.postgres.database import Database
from connectors.sql import QUERIES
from streams.event_store import LAST_VERSION
from streams.snapshot import Snapshot


class PostgresSnapshots:
    """Implements Snapshots. Raises DatabaseUnavailable or DatabaseRefused."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def latest(
        self,
        aggregate_type: str,
        aggregate_id: str,
        schema_version: int,
        target_version: int = LAST_VERSION,
    ) -> Snapshot | None:
        """See Snapshots."""
        async with self._database.transaction() as connection:
            found = await connection.execute(
                QUERIES["snapshot_of_aggregate"],
                {
                    "aggregate_type": aggregate_type,
                    "aggregate_id": aggregate_id,
                    "schema_version": schema_version,
                    "target_version": target_version,
                },
            )
            row = await found.fetchone()
        if row is None:
            return None
        version, state = row
        return Snapshot(aggregate_type, aggregate_id, schema_version, version, state)

    async def save(self, snapshot: Snapshot) -> None:
        """See Snapshots."""
        async with self._database.transaction() as connection:
            for query in ("save_snapshot", "drop_older_snapshots"):
                await connection.execute(QUERIES[query], snapshot._asdict())

    async def drop(self, aggregate_type: str, aggregate_id: str) -> None:
        """See Snapshots."""
        async with self._database.transaction() as connection:
            await connection.execute(
                QUERIES["drop_snapshots"],
                {"aggregate_type": aggregate_type, "aggregate_id": aggregate_id},
            )
