"""What the bench of deadlines waits for: courses of a saga, each with a deadline in the future."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from benchmarks.contract import Measurement, peak_memory
from connectors.postgres.migrations import migrate
from connectors.settings import PostgresSettings
from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.event import Event, EventData, EventFactory
from schemas.events.domain import SetupSessionFailed, SetupSessionStarted
from streams.sagas.saga import Complete, Emit, Reaction, Saga

PENDING: Final = 100_000
"""Deadlines that are waited for when a run begins."""

DUE: Final = 20_000
"""So many of them come due in it, one after the other; the others tomorrow."""

SPREAD_S: Final = 20.0
"""Within so many seconds those that come due."""

LEAD_S: Final = 2.0
"""How long the first one is away when the run begins."""

APP: Final = "bench"

_COURSES: Final = """
INSERT INTO sagas (app, saga, key, status, steps)
SELECT %(app)s, %(saga)s, 'course-' || number, 'running', 1
FROM generate_series(1, %(pending)s::integer) AS numbers (number)
"""

_STEPS: Final = """
INSERT INTO saga_steps (course, step, cause_id, framed)
SELECT course, 1, %(cause)s, %(framed)s FROM sagas
"""

_DEADLINES: Final = """
INSERT INTO saga_deadlines (course, name, app, saga, set_by, due_at, next_at)
SELECT course, 'reply', app, saga, %(cause)s, times.due_at, times.due_at
FROM (
    SELECT sagas.*, row_number() OVER (ORDER BY course) AS number FROM sagas
) AS numbered, LATERAL (
    SELECT now() + make_interval(secs => %(lead_s)s + CASE
        WHEN number <= %(due)s THEN %(spread_s)s * number / %(due)s
        ELSE 86400
    END) AS due_at
) AS times
"""


class WaitingSaga(Saga[int]):
    """Waits for a reply that never comes."""

    name = "waiting"
    started_by: ClassVar[Sequence[type[EventData]]] = (SetupSessionStarted,)

    def correlate(self, event: Event[Any]) -> str:
        """See Saga."""
        return str(event.data.session_id)

    def initial(self) -> int:
        """See Saga."""
        return 0

    def evolve(self, state: int, event: Event[Any]) -> int:
        """See Saga."""
        return state + 1

    def decide(self, state: int, event: Event[Any]) -> Sequence[Reaction]:
        """See Saga."""
        failed = SetupSessionFailed(
            session_id=event.data.key, project_id="p", reason="no reply in time"
        )
        return [Emit(failed), Complete()]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What Postgres holds behind a run."""

    fired: int
    left: int
    sent: int

    @property
    def is_exact(self) -> bool:
        """Whether each deadline was fired once, and what follows went out once."""
        return self.fired == DUE and self.left == PENDING - DUE and self.sent == 2 * DUE


def database(server: str) -> str:
    """A new database with the tables. Returns its DSN."""
    name = f"deadlines_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    dsn = urlsplit(server)._replace(path=f"/{name}").geturl()
    asyncio.run(migrate(PostgresSettings(dsn=dsn)))
    return dsn


def fill(dsn: str) -> None:
    """Let the deadlines of a run begin to come due, in a little while."""
    catalog = Catalog.load()
    started = EventFactory(catalog, "bench").create(
        SetupSessionStarted(session_id="s", profile_id="python", project_id="p", user_id=None)
    )
    values = {
        "app": APP,
        "saga": WaitingSaga.name,
        "pending": PENDING,
        "due": DUE,
        "cause": started.id,
        "framed": Codec(catalog).encode(started),
        "lead_s": LEAD_S,
        "spread_s": SPREAD_S,
    }
    with psycopg.connect(dsn) as connection:
        connection.execute("TRUNCATE sagas, saga_steps, saga_deadlines, outbox")
        connection.execute(_COURSES, values)
        connection.execute(_STEPS, values)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("VACUUM (ANALYZE) sagas, saga_steps")
        connection.execute(_DEADLINES, values)


def outcome(dsn: str) -> Outcome:
    """What a run has left."""
    with psycopg.connect(dsn) as connection:
        row = connection.execute(
            "SELECT (SELECT count(*) FROM saga_steps WHERE step = 2),"
            " (SELECT count(*) FROM saga_deadlines), (SELECT count(*) FROM outbox)"
        ).fetchone()
    assert row is not None
    return Outcome(*row)


def measurement(dsn: str, late_ms: Sequence[float], began: tuple[float, float]) -> Measurement:
    """What a run has measured, once Postgres has shown that it did what it was to do.

    `late_ms`: of each deadline, behind the commit. `began`: by the wall and by the processor.
    """
    seconds, cpu_seconds = time.perf_counter() - began[0], time.process_time() - began[1]
    left = outcome(dsn)
    if not left.is_exact:
        raise AssertionError(f"not each deadline was fired once: {left}")
    late = sorted(late_ms)
    return Measurement(
        events=len(late),
        seconds=seconds,
        cpu_seconds=cpu_seconds,
        checksum=left.fired,
        rss_bytes=peak_memory(),
        metrics={
            "late_p50_ms": late[len(late) // 2],
            "late_p99_ms": late[int(len(late) * 0.99)],
            "late_max_ms": late[-1],
            "earliest_ms": late[0],
        },
    )
