"""Our appender: checked, encoded, expected version, and the outbox row in one transaction."""

from __future__ import annotations

import asyncio
from itertools import cycle

import uvloop

from benchmarks.accounts import CATALOG, CODEC, credited
from benchmarks.append_run import ACCOUNTS, append_for_async
from benchmarks.contract import Measurement, RunConfig
from connectors.postgres.database import Database
from connectors.postgres.event_appender import PostgresEventAppender
from connectors.postgres.migrations import migrate
from connectors.settings import PostgresSettings
from streams.expectation import ExpectedVersion


async def measure(config: RunConfig) -> Measurement:
    """Append behind the version that each account is known to have."""
    settings = PostgresSettings(dsn=config.options["dsn"])
    await migrate(settings)
    async with Database(settings) as database:
        appender = PostgresEventAppender(database, CATALOG, CODEC)
        accounts = cycle([f"account-{number}" for number in range(ACCOUNTS)])
        versions: dict[str, int] = {}

        async def append(size: int) -> None:
            account = next(accounts)
            events = [credited(account, cents) for cents in range(size)]
            expected = ExpectedVersion.exact(versions.get(account, 0))
            versions[account] = (await appender.append(events, expected)).version

        return await append_for_async(config, append, {})


def main() -> None:
    """Measure and print."""
    config = RunConfig.from_arguments()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(measure(config)).print()


if __name__ == "__main__":
    main()
