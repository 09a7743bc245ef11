"""The driver under our appender by hand: the same encode and row, one INSERT, nothing else.

No expected version is checked but by the unique index, and there is no outbox.
"""

from __future__ import annotations

import asyncio
from itertools import cycle

import uvloop
from psycopg import AsyncConnection

from benchmarks.accounts import CODEC, credited
from benchmarks.append_run import ACCOUNTS, append_for_async
from benchmarks.contract import Measurement, RunConfig
from connectors.event_row import EventRow, event_row
from connectors.postgres.database import session_options
from connectors.postgres.migrations import migrate
from connectors.settings import PostgresSettings
from schemas.envelope import Aggregate
from schemas.event import Event

INSERT = """
INSERT INTO events (
    event_id, type, category, priority, schema_version, schema_id, "timestamp", source,
    correlation_id, causation_id, aggregate_type, aggregate_id, aggregate_version, user_id,
    trace_id, framed, data, command_id
) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
"""


async def measure(config: RunConfig) -> Measurement:
    """Insert the rows that our appender inserts."""
    settings = PostgresSettings(dsn=config.options["dsn"])
    await migrate(settings)
    # Every statement commits by itself: a COMMIT of its own would be a round trip more.
    connection = await AsyncConnection.connect(
        settings.dsn, autocommit=True, options=session_options(settings)
    )
    accounts = cycle([f"account-{number}" for number in range(ACCOUNTS)])
    versions: dict[str, int] = {}

    async def append(size: int) -> None:
        account = next(accounts)
        version = versions.get(account, 0)
        rows = [_row(account, cents, version + cents + 1) for cents in range(size)]
        if size == 1:
            await connection.execute(INSERT, rows[0])
        else:
            async with connection.transaction(), connection.cursor() as cursor:
                await cursor.executemany(INSERT, rows)
        versions[account] = version + size

    async with connection:
        return await append_for_async(config, append, {})


def _row(account: str, cents: int, version: int) -> EventRow:
    new = credited(account, cents)
    aggregate = Aggregate("Account", account, version)
    event = Event(new.envelope._replace(aggregate=aggregate), new.data)
    return event_row(event, CODEC.encode(event), with_json=True)


def main() -> None:
    """Measure and print."""
    config = RunConfig.from_arguments()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(measure(config)).print()


if __name__ == "__main__":
    main()
