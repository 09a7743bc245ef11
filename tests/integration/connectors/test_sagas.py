"""Sagas on PostgreSQL: races, and deadlines that fail."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from connectors.errors import Unstorable
from connectors.postgres.database import Connection, Database
from connectors.postgres.event_appender import PostgresEventAppender
from connectors.postgres.migrations import migrate
from connectors.postgres.saga_store import PostgresSagaStore
from connectors.settings import PostgresSettings
from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.event import Event, EventFactory
from streams.expectation import ANY_VERSION
from streams.memory.log import MemoryLog
from streams.memory.schemas import MemoryWriterSchemas
from streams.sagas.course import SagaName, SagaSteps
from streams.sagas.saga import DeadlinePassed, Emit, Reaction
from streams.sagas.store import SagaStore
from tests.contracts.probe_saga import ProbeSaga, analysis_of, reply, session
from tests.integration.connectors.conftest import eventually

pytestmark = pytest.mark.postgres

CATALOG = Catalog.load()
FACTORY = EventFactory(CATALOG, "tests")
ROOT = Path(__file__).parents[3]
DEADLINES = 600


@pytest.fixture
async def database(fresh_database: str) -> AsyncIterator[Database]:
    """A migrated database."""
    settings = PostgresSettings(dsn=fresh_database, acquire_timeout_s=60)
    await migrate(settings)
    async with Database(settings) as opened:
        yield opened


def store_on(database: Database) -> PostgresSagaStore:
    codec = Codec(CATALOG)
    schemas = MemoryWriterSchemas(MemoryLog(), codec, wait_s=0)
    return PostgresSagaStore(database, CATALOG, codec, schemas)


async def take(store: SagaStore, steps: SagaSteps[Any], event: Event[Any]) -> None:
    await store.take(steps.address(event), lambda course: steps.step(course, event))


class SharedSaga(ProbeSaga):
    """All its courses append to one aggregate."""

    def decide(self, state: int, event: Event[Any]) -> list[Emit]:
        return [Emit(analysis_of("shared"))]


async def test_courses_that_append_to_one_aggregate_share_its_versions_with_everybody(
    fresh_database: str, database: Database
) -> None:
    steps = SagaSteps("tests", SharedSaga(), FACTORY)
    starts = [FACTORY.create(session(f"s-{number}")) for number in range(30)]
    settings = PostgresSettings(dsn=fresh_database, acquire_timeout_s=60)

    async def append(appender: PostgresEventAppender) -> None:
        await appender.append([FACTORY.create(analysis_of("shared"))], ANY_VERSION)

    async with Database(settings) as other, Database(settings) as third:
        stores = [store_on(database), store_on(other)]
        appender = PostgresEventAppender(third, CATALOG, Codec(CATALOG))
        await asyncio.gather(
            *(take(stores[number % 2], steps, start) for number, start in enumerate(starts)),
            *(append(appender) for _ in range(30)),
        )
    with psycopg.connect(fresh_database) as connection:
        found = connection.execute("SELECT aggregate_version FROM events ORDER BY 1").fetchall()
        assert found == [(version,) for version in range(1, 61)]
        assert connection.execute("SELECT count(*) FROM outbox").fetchone() == (60,)


async def test_a_deadline_that_a_saga_cannot_decide_on_is_put_off_and_holds_up_no_other(
    fresh_database: str, database: Database
) -> None:
    store, steps = store_on(database), SagaSteps("tests", ProbeSaga(reply_s=0), FACTORY)
    for key in ("a", "b-raise", "c"):
        await take(store, steps, FACTORY.create(session(key)))
    fired = await store.fire(steps.name, steps.passed, 100)
    assert (len(fired.steps), fired.failed, fired.handled) == (2, 1, 3)
    assert (await store.fire(steps.name, steps.passed, 100)).handled == 0
    due_in_s = await store.due_in_s(steps.name)
    assert due_in_s is not None
    assert 0 < due_in_s <= 1
    with psycopg.connect(fresh_database) as connection:
        rows = connection.execute("SELECT failures, last_error FROM saga_deadlines").fetchall()
    assert rows == [(1, "OSError: the saga cannot decide on that")]
    waiting = FACTORY.create(reply("b-raise"))
    step = await store.carry_on(steps.address(waiting), lambda it: steps.step(it, waiting))
    assert step is not None, "its course goes on all the same"


class HugeSaga(ProbeSaga):
    """What it emits at its deadline is larger than an event may be, for one course of it."""

    def decide(self, state: int, event: Event[Any]) -> Sequence[Reaction]:
        if isinstance(event.data, DeadlinePassed) and event.data.key == "huge":
            return [Emit(analysis_of("x" * 2_000_000))]
        return super().decide(state, event)


async def test_a_deadline_whose_events_cannot_be_stored_is_put_off_and_holds_up_no_other(
    fresh_database: str, database: Database
) -> None:
    store, steps = store_on(database), SagaSteps("tests", HugeSaga(reply_s=0), FACTORY)
    for key in ("a", "huge", "c"):
        await take(store, steps, FACTORY.create(session(key)))
    fired = await store.fire(steps.name, steps.passed, 100)
    assert (len(fired.steps), fired.failed) == (2, 1)
    with psycopg.connect(fresh_database) as connection:
        rows = connection.execute("SELECT last_error FROM saga_deadlines").fetchall()
    assert [row[0].split(":")[0] for row in rows] == ["EventTooLarge"]


class CancelledSaga(ProbeSaga):
    """At its deadline it raises what it should not, for some of its courses."""

    def decide(self, state: int, event: Event[Any]) -> Sequence[Reaction]:
        if isinstance(event.data, DeadlinePassed):
            match event.data.key:
                case "cancelled":
                    raise asyncio.CancelledError
                case "surrogate":
                    raise ValueError("half of a pair: \ud800")
        return super().decide(state, event)


def last_errors(dsn: str) -> dict[str, str | None]:
    with psycopg.connect(dsn) as connection:
        found = connection.execute(
            "SELECT key, last_error FROM saga_deadlines JOIN sagas USING (course)"
        ).fetchall()
    return dict(found)


async def test_neither_a_cancellation_nor_half_a_character_of_a_saga_holds_up_other_deadlines(
    fresh_database: str, database: Database
) -> None:
    store, steps = store_on(database), SagaSteps("tests", CancelledSaga(reply_s=0), FACTORY)
    for key in ("a", "cancelled", "surrogate", "c"):
        await take(store, steps, FACTORY.create(session(key)))
    fired = await store.fire(steps.name, steps.passed, 100)
    assert (len(fired.steps), fired.failed) == (2, 2)
    assert last_errors(fresh_database) == {
        "cancelled": "InvalidReaction: saga 'probe' raised CancelledError",
        "surrogate": "ValueError: half of a pair: ?",
    }


async def test_a_course_that_cannot_be_read_holds_up_no_other_in_its_transaction(
    fresh_database: str, database: Database
) -> None:
    store, steps = store_on(database), SagaSteps("tests", ProbeSaga(reply_s=0), FACTORY)
    for key in ("a", "unreadable", "c"):
        await take(store, steps, FACTORY.create(session(key)))
    with psycopg.connect(fresh_database) as connection:
        connection.execute(
            "UPDATE saga_steps SET framed = '\\x00' FROM sagas"
            " WHERE sagas.course = saga_steps.course AND key = 'unreadable'"
        )
    fired = await store.fire(steps.name, steps.passed, 100)
    assert (len(fired.steps), fired.failed) == (2, 1)
    assert set(last_errors(fresh_database)) == {"unreadable"}


class OutrunStore(PostgresSagaStore):
    """Cannot store the step of one deadline, and meanwhile another one comes due before it."""

    def __init__(self, dsn: str, *parts: Any) -> None:
        super().__init__(*parts)
        self.dsn = dsn

    async def _store(self, connection: Connection, name: SagaName, rows: Any) -> None:
        with psycopg.connect(self.dsn) as other:
            other.execute(
                "UPDATE saga_deadlines SET next_at = '2020-01-01' FROM sagas"
                " WHERE sagas.course = saga_deadlines.course AND key = 'later'"
            )
        raise Unstorable("too much")


async def test_the_deadline_that_could_not_be_stored_is_put_off_and_no_other(
    fresh_database: str, database: Database
) -> None:
    store, codec = store_on(database), Codec(CATALOG)
    steps = SagaSteps("tests", ProbeSaga(reply_s=0), FACTORY)
    await take(store, steps, FACTORY.create(session("first")))
    later = SagaSteps("tests", ProbeSaga(reply_s=60), FACTORY)
    await take(store, later, FACTORY.create(session("later")))
    schemas = MemoryWriterSchemas(MemoryLog(), codec, wait_s=0)
    outrun = OutrunStore(fresh_database, database, CATALOG, codec, schemas)
    fired = await outrun.fire(steps.name, steps.passed, 1)
    assert (fired.failed, fired.handled) == (1, 1)
    assert last_errors(fresh_database) == {"first": "Unstorable: too much", "later": None}


async def test_a_course_that_is_built_anew_appends_its_events_once(
    fresh_database: str, database: Database
) -> None:
    store, steps = store_on(database), SagaSteps("tests", ProbeSaga(), FACTORY)
    event = FACTORY.create(session("s"))
    await take(store, steps, event)
    with psycopg.connect(fresh_database, autocommit=True) as connection:
        connection.execute("DELETE FROM sagas")
    await take(store, steps, event)
    with psycopg.connect(fresh_database) as connection:
        assert connection.execute("SELECT count(*) FROM events").fetchone() == (1,)


@contextmanager
def firing_process(dsn: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "tests.integration.connectors.firing_saga", dsn]
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
async def test_each_deadline_is_fired_once_and_never_early_by_two_processes_of_which_one_is_killed(
    fresh_database: str, database: Database
) -> None:
    store = store_on(database)
    for number in range(DEADLINES):
        # In the order of their numbers, from the second at which the last one is set.
        steps = SagaSteps("tests", ProbeSaga(reply_s=5 + number * 0.005), FACTORY)
        await take(store, steps, FACTORY.create(session(f"s-{number}")))

    def fired() -> int:
        with psycopg.connect(fresh_database) as connection:
            row = connection.execute("SELECT count(*) FROM saga_steps WHERE step = 2").fetchone()
        return 0 if row is None else int(row[0])

    with firing_process(fresh_database) as one, firing_process(fresh_database):
        await eventually(lambda: fired() > DEADLINES // 4)
        one.kill()
        assert fired() < DEADLINES, "it was to be killed in the middle"
        await eventually(lambda: fired() == DEADLINES)
    passed = [
        event for event in outgoing(fresh_database) if event.type == DeadlinePassed.event_type
    ]
    assert Counter(event.data.key for event in passed) == {
        f"s-{number}": 1 for number in range(DEADLINES)
    }
    assert Counter(emitted_types(fresh_database))["setup.session.failed"] == DEADLINES
    with psycopg.connect(fresh_database) as connection:
        rows = connection.execute(
            "SELECT key, taken_at FROM saga_steps JOIN sagas USING (course) WHERE step = 2"
        ).fetchall()
    taken_at: dict[str, datetime] = dict(rows)
    early = [it.data for it in passed if taken_at[it.data.key] < it.timestamp]
    assert early == []


async def test_replaying_the_events_of_a_course_touches_no_deadline(
    fresh_database: str, database: Database
) -> None:
    store, steps = store_on(database), SagaSteps("tests", ProbeSaga(), FACTORY)
    event = FACTORY.create(session("s"))
    waits = FACTORY.create(reply("s", success=False, reason="wait"))
    for told in (event, waits, event, waits):
        await take(store, steps, told)
    with psycopg.connect(fresh_database) as connection:
        first = connection.execute("SELECT set_by, due_at FROM saga_deadlines").fetchall()
    await take(store, steps, event)
    with psycopg.connect(fresh_database) as connection:
        again = connection.execute("SELECT set_by, due_at FROM saga_deadlines").fetchall()
    assert first == again
    assert [row[0] for row in again] == [waits.id]
    assert Counter(emitted_types(fresh_database)) == {
        "setup.step.validate.started": 1,
        "analysis.started": 1,
    }


def outgoing(dsn: str) -> list[Event[Any]]:
    codec = Codec(CATALOG)
    with psycopg.connect(dsn) as connection:
        return [codec.view(row[0]) for row in connection.execute("SELECT payload FROM outbox")]


def emitted_types(dsn: str) -> list[str]:
    with psycopg.connect(dsn) as connection:
        return [row[0] for row in connection.execute("SELECT type FROM outbox").fetchall()]
