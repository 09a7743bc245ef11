"""Removes states from Postgres that were folded while a subject's events could be read."""

from collections.abc import Collection

from connectors.postgres.database import Database
from connectors.projection_store import KnownProjection
from connectors.sql import QUERIES


class PostgresErasure:
    """What derived states a forget removes. Raises DatabaseUnavailable or DatabaseRefused."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def drop_snapshots(self, aggregate_types: Collection[str]) -> int:
        """Remove the snapshots of these types, whoever's; how many there were.

        Which of them hold the subject's data only their code knows; each is made again by a load.
        """
        async with self._database.connection() as connection:
            done = await connection.execute(
                QUERIES["drop_snapshots_of_types"], {"aggregate_types": sorted(aggregate_types)}
            )
            await connection.execute(QUERIES["purge_old_snapshots"])
        return done.rowcount

    async def drop_older_versions(self, known: KnownProjection) -> None:
        """Remove every version of a projection but the live one, the way back included."""
        at = {"app": known.app, "name": known.name}
        async with self._database.connection() as connection:
            for query in ("drop_previous_version", "drop_versions"):
                await connection.execute(QUERIES[query], at)
            await connection.execute(QUERIES["purge_old_rows"])
