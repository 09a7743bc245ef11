"""Where stored events were read from, out of Postgres."""

from collections.abc import Sequence

from connectors.event_evidence import StoredPlace
from connectors.postgres.database import Database
from connectors.sql import QUERIES


class PostgresEventPlaces:
    """Implements EventPlaces."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, event_ids: Sequence[str]) -> list[StoredPlace]:
        """See EventPlaces. Raises DatabaseUnavailable."""
        async with self._database.transaction() as connection:
            found = await connection.execute(
                QUERIES["places_of_events"], {"event_ids": list(event_ids)}
            )
            return [StoredPlace(*row) for row in await found.fetchall()]
