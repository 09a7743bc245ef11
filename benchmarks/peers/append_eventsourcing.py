"""The eventsourcing library on PostgreSQL: an application saves what an aggregate has triggered."""

from __future__ import annotations

from importlib.metadata import version
from itertools import cycle
from typing import Any

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event

from benchmarks.append_run import ACCOUNTS, NOTE, append_for
from benchmarks.contract import RunConfig


class Account(Aggregate):  # type: ignore[misc]  # the library is in the peers' environment
    """An account that money comes to."""

    def __init__(self) -> None:
        self.cents = 0

    @event("Credited")  # type: ignore[untyped-decorator]  # as above
    def credit(self, cents: int, note: str) -> None:
        """Take money."""
        self.cents += cents


def main() -> None:
    """Measure and print."""
    config = RunConfig.from_arguments()
    application: Application[Any] = Application(env=config.options["environment"])
    accounts = cycle([Account() for _ in range(ACCOUNTS)])

    async def append(size: int) -> None:
        # The library does not wait in an event loop; nothing else runs in this process.
        account = next(accounts)
        for cents in range(size - (account.version == 1 and bool(account.pending_events))):
            account.credit(cents, NOTE)
        application.save(account)

    measured = append_for(config, append, {"eventsourcing": version("eventsourcing")})
    application.close()
    measured.print()


if __name__ == "__main__":
    main()
