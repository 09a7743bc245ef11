"""What projections in Postgres claim to hold, for an audit: the versions that are read."""

from collections.abc import Sequence
from itertools import groupby

from connectors.audit_ports import ProjectionCheckpoint
from connectors.postgres.database import Database
from connectors.sql import QUERIES
from streams.records import TopicPartition


class PostgresProjectionCheckpoints:
    """Implements ProjectionCheckpoints."""

    def __init__(self, database: Database, topic: str, topic_id: str) -> None:
        """`topic_id` is Kafka's id of the archive's topic, from which they are folded."""
        self._database = database
        self._topic = topic
        self._topic_id = topic_id

    async def read(self) -> Sequence[ProjectionCheckpoint]:
        """See ProjectionCheckpoints. A projection that stopped misses the event that it names."""
        async with self._database.transaction() as connection:
            found = await connection.execute(
                QUERIES["live_checkpoints"], {"topic_id": self._topic_id}
            )
            rows = await found.fetchall()
        checkpoints = []
        for name, group in groupby(rows, key=lambda row: row[0]):
            claimed = list(group)
            positions = {
                TopicPartition(self._topic, partition): following - 1
                for _, partition, following, _ in claimed
                if following
            }
            has_stopped = any(row[3] for row in claimed)
            checkpoints.append(
                ProjectionCheckpoint(name=name, positions=positions, missing=int(has_stopped))
            )
        return checkpoints
