"""Where the courses of sagas stand, for people: status, steps, and what each waits for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from connectors.postgres.database import Database
from connectors.sql import QUERIES
from streams.sagas.course import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which courses are asked for; None for all of a kind. `over`: those that are over, too."""

    app: str | None = None
    saga: str | None = None
    key: str | None = None
    over: bool = False
    limit: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class CourseOverview:
    """One course. `deadlines` have name, due_at, failures and last_error."""

    address: Address
    status: str
    steps: int
    started_at: datetime
    changed_at: datetime
    deadlines: Sequence[Mapping[str, Any]]

    def as_mapping(self) -> Mapping[str, Any]:
        """For JSON."""
        return {
            **self.address._asdict(),
            "status": self.status,
            "steps": self.steps,
            "started_at": self.started_at.isoformat(),
            "changed_at": self.changed_at.isoformat(),
            "deadlines": list(self.deadlines),
        }


async def list_courses(database: Database, wanted: Wanted) -> list[CourseOverview]:
    """The courses, those first that nothing has changed for the longest time.

    Raises DatabaseUnavailable, NotMigrated.
    """
    values = {
        "app": wanted.app,
        "saga": wanted.saga,
        "key": wanted.key,
        "over": wanted.over,
        "limit": wanted.limit,
    }
    async with database.connection() as connection:
        found = await connection.execute(QUERIES["list_courses"], values)
        rows = await found.fetchall()
    return [
        CourseOverview(
            address=Address(app, saga, key),
            status=status,
            steps=steps,
            started_at=started_at,
            changed_at=changed_at,
            deadlines=deadlines,
        )
        for app, saga, key, status, steps, started_at, changed_at, deadlines in rows
    ]
