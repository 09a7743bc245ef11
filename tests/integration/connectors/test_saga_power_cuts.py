"""A process that takes sagas through their steps dies at every statement and every commit."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Any

import psycopg
import pytest

from connectors.postgres.database import Database
from connectors.postgres.migrations import migrate
from connectors.settings import PostgresSettings
from schemas.event import Event
from schemas.events.domain import AnalysisStarted
from streams.sagas.course import Address, SagaStatus
from streams.sagas.saga import DeadlinePassed
from tests.integration.connectors.crashing_saga import APPENDS, INSTALL_FAILS, SUCCESS, TIMES_OUT
from tests.integration.connectors.forking import forks_of
from tests.integration.connectors.test_sagas import outgoing, store_on

pytestmark = pytest.mark.postgres

COURSES = {
    SUCCESS: (
        SagaStatus.COMPLETED,
        ["setup.session.completed", "setup.step.install.started", "setup.step.validate.started"],
    ),
    INSTALL_FAILS: (
        SagaStatus.COMPENSATED,
        [
            "setup.session.failed",
            "setup.step.install.started",
            "setup.step.rollback.started",
            "setup.step.validate.started",
        ],
    ),
    TIMES_OUT: (
        SagaStatus.COMPENSATED,
        [
            "setup.session.failed",
            "setup.step.install.started",
            "setup.step.rollback.started",
            "setup.step.validate.started",
            "system.saga.deadline.passed",
        ],
    ),
    APPENDS: (
        SagaStatus.COMPLETED,
        ["analysis.started", "setup.session.completed", "setup.step.validate.started"],
    ),
}

Crash = Callable[[Sequence[tuple[str, str]], int | None], int]
"""Run stories in a process of its own that dies at such a point; how it ended."""


@pytest.fixture
def crash(fresh_database: str) -> Iterator[Crash]:
    """What runs stories on the database."""
    with forks_of("tests.integration.connectors.crashing_saga") as ask:

        def run(stories: Sequence[tuple[str, str]], die_at: int | None) -> int:
            return ask({"dsn": fresh_database, "stories": stories, "die_at": die_at})

        yield run


def session_of(event: Event[Any]) -> str:
    """The session that an event is about."""
    match event.data:
        case DeadlinePassed(key=key):
            return key
        case AnalysisStarted(package=package):
            return package
    return str(event.data.session_id)


def emitted(dsn: str) -> dict[str, list[str]]:
    """The types of what is in the outbox, by session; sorted."""
    found = dict[str, list[str]]()
    for event in outgoing(dsn):
        found.setdefault(session_of(event), []).append(event.type)
    return {session_id: sorted(types) for session_id, types in found.items()}


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("path", list(COURSES))
async def test_a_power_cut_at_any_point_of_any_step_repeats_nothing_and_loses_nothing(
    crash: Crash, fresh_database: str, path: str
) -> None:
    settings = PostgresSettings(dsn=fresh_database)
    await migrate(settings)
    sessions: list[str] = []
    for die_at in count(1):
        sessions.append(f"s-{die_at}")
        ended = await asyncio.to_thread(crash, [(sessions[-1], path)], die_at)
        if ended == 0:
            break
        assert ended == -signal.SIGKILL
    assert len(sessions) > 20, "every statement and every commit is a point"
    again = [(session_id, path) for session_id in sessions]
    assert await asyncio.to_thread(crash, again, None) == 0
    status, types = COURSES[path]
    saga = "probe" if path == APPENDS else "setup-workflow"
    async with Database(settings) as database:
        found = [await store_on(database).find(Address(it, saga, it)) for it in sessions]
    assert [None if it is None else it.status for it in found] == [status] * len(sessions)
    assert emitted(fresh_database) == dict.fromkeys(sessions, types)
    with psycopg.connect(fresh_database) as connection:
        assert connection.execute("SELECT count(*) FROM saga_deadlines").fetchone() == (0,)
