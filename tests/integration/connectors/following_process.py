"""A reader of a catch-up subscription in a process of its own, so that it can be killed."""

import asyncio
import json
import sys
from typing import Any

from connectors.catch_up_service import CatchUpPlan, catch_up
from connectors.postgres.catch_up import PostgresCheckpoints
from connectors.postgres.database import Database
from connectors.settings import PostgresSettings
from schemas.catalog import Catalog
from streams.settings import KafkaSettings

SUBSCRIPTION = "followed"


async def follow(asked: dict[str, Any]) -> None:
    """Note every event in the transaction that moves the checkpoint, until killed."""
    plan = CatchUpPlan(
        kafka=KafkaSettings(bootstrap=asked["bootstrap"], schema_wait_s=0.5),
        topic_id=asked["topic_id"],
        topic=asked["topic"],
        partitions=range(asked["partitions"]),
        catalog=Catalog.load(),
    )
    async with (
        Database(PostgresSettings(dsn=asked["dsn"])) as database,
        catch_up(plan, database) as subscription,
    ):
        checkpoints = PostgresCheckpoints(database)
        start = await checkpoints.load(SUBSCRIPTION, plan.topic_id)
        async for batch in subscription.batches(start, asyncio.Event()):
            async with database.transaction() as connection:
                for event in batch.events:
                    await connection.execute(
                        "INSERT INTO followed (partition, event_id, is_live) VALUES (%s, %s, %s)",
                        (batch.partition, event.id, batch.is_live),
                    )
                await checkpoints.advance(connection, SUBSCRIPTION, batch)


if __name__ == "__main__":
    asyncio.run(follow(json.loads(sys.argv[1])))
