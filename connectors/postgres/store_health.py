"""How the event store is, at a quick look."""

from collections.abc import Mapping
from dataclasses import dataclass

from connectors.postgres.database import Database
from connectors.sql import QUERIES


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreHealth:
    """`next`: the next offset by partition of the topic that filled it, told by `topic_ids`.

    `events` is exact up to 100,000. `unconfirmed` counts events of the last week that stand
    neither in the outbox nor at any place of Kafka, a minute after they were stored.
    """

    topic_ids: frozenset[str]
    next: Mapping[int, int]
    events: int
    unconfirmed: int


async def store_health(database: Database) -> StoreHealth:
    """Look. Raises DatabaseUnavailable, NotMigrated."""
    async with database.transaction() as connection:
        found = await connection.execute(QUERIES["store_progress"])
        progress = await found.fetchall()
        found = await connection.execute(QUERIES["store_counts"])
        events, unconfirmed = await found.fetchone() or (0, 0)
    return StoreHealth(
        topic_ids=frozenset(row[0] for row in progress),
        next={row[1]: row[2] for row in progress},
        events=events,
        unconfirmed=unconfirmed,
    )
