"""Processes that take setup sessions through their saga, and kill themselves at a call of Postgres.

Each is asked by a JSON object, with dsn, stories (session id and name of a path, for each), and
`die_at`: before or behind the how-manieth call it dies, as a power cut would; null: it lives.
"""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from hashlib import sha256
from itertools import count
from typing import Any, cast

from connectors.postgres.database import Connection, Database
from connectors.postgres.saga_store import PostgresSagaStore
from connectors.settings import PostgresSettings
from examples.analysis.setup_saga import SetupWorkflowSaga
from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.event import Event, EventData, EventFactory
from schemas.events.domain import (
    SetupSessionStarted,
    SetupStepInstallCompleted,
    SetupStepRollbackCompleted,
    SetupStepValidateCompleted,
)
from schemas.identity import RANDOM_BYTES, uuid7
from streams.memory.log import MemoryLog
from streams.memory.schemas import MemoryWriterSchemas
from streams.sagas.course import Address, SagaSteps
from streams.sagas.deadlines import DeadlineFiring
from streams.sagas.handling import SagaHandling
from streams.sagas.saga import DeadlinePassed, Saga
from streams.testing.events import FIRST_TIME
from tests.contracts.probe_saga import ProbeSaga
from tests.integration.connectors.forking import serve

CATALOG = Catalog.load()
SUCCESS, INSTALL_FAILS, TIMES_OUT = "success", "install fails", "times out"
APPENDS = "appends"
"""The way of the probe saga, which appends to an aggregate as well."""

FIRE = "fire"
"""In a story: the deadline passes."""


def story(session_id: str, path: str) -> list[EventData | str]:
    """What happens in a session, in order."""
    started = SetupSessionStarted(
        session_id=session_id, profile_id="python", project_id="p", user_id=None
    )
    valid = SetupStepValidateCompleted(
        session_id=session_id, project_id="p", success=True, reason=None
    )
    installed = SetupStepInstallCompleted(
        session_id=session_id,
        project_id="p",
        success=path == SUCCESS,
        reason=None if path == SUCCESS else "disk full",
    )
    undone = SetupStepRollbackCompleted(session_id=session_id, project_id="p")
    ways: dict[str, list[EventData | str]] = {
        SUCCESS: [started, valid, installed],
        INSTALL_FAILS: [started, valid, installed, undone],
        TIMES_OUT: [started, valid, FIRE, undone],
        APPENDS: [started, valid],
    }
    return ways[path]


def deliveries(session_id: str, path: str) -> Iterator[Event[Any] | str]:
    """The story as events, which have the same ids whoever tells it."""
    codec = Codec(CATALOG)
    for at, told in enumerate(story(session_id, path)):
        if isinstance(told, str):
            yield told
            continue
        random = sha256(f"{session_id}/{at}".encode()).digest()[:RANDOM_BYTES]
        event_id = uuid7(int(FIRST_TIME.timestamp() * 1_000), random)
        event = EventFactory(CATALOG, "tests").create(told, id=event_id, timestamp=FIRST_TIME)
        yield codec.view(codec.encode(event))


class Killing:
    """Counts calls, and ends the process at one of them."""

    def __init__(self, die_at: int | None) -> None:
        self._die_at = die_at
        self._calls = count(1)

    def __call__(self) -> None:
        """A point at which a power cut may come."""
        if next(self._calls) == self._die_at:
            os.kill(os.getpid(), signal.SIGKILL)


class KillingConnection:
    """A connection with a point before and behind each statement and each commit."""

    def __init__(self, connection: Connection, point: Killing) -> None:
        self._connection = connection
        self._point = point

    async def execute(self, *arguments: Any, **options: Any) -> Any:
        self._point()
        done = await self._connection.execute(*arguments, **options)
        self._point()
        return done

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        async with self._connection.transaction():
            yield
            self._point()
        self._point()


class KillingDatabase(Database):
    """A database of such connections."""

    def __init__(self, settings: PostgresSettings, point: Killing) -> None:
        super().__init__(settings)
        self._point = point

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        async with super().connection() as connection:
            yield cast(Connection, KillingConnection(connection, self._point))


async def tell_all(asked: Mapping[str, Any]) -> None:
    """What one process does."""
    settings = PostgresSettings(dsn=asked["dsn"])
    async with KillingDatabase(settings, Killing(asked["die_at"])) as database:
        codec = Codec(CATALOG)
        schemas = MemoryWriterSchemas(MemoryLog(), codec, wait_s=0)
        store = PostgresSagaStore(database, CATALOG, codec, schemas)
        for session_id, path in asked["stories"]:
            await tell(store, session_id, path)


async def tell(store: PostgresSagaStore, session_id: str, path: str) -> None:
    """Take one session through its saga, in an app of its own: no other fires its deadlines."""
    # Due at once where a story lets a deadline pass, else not before the story is over.
    setup = SetupWorkflowSaga(step_s=0.0 if path == TIMES_OUT else 3_600.0)
    saga: Saga[Any] = ProbeSaga() if path == APPENDS else setup
    steps = SagaSteps(session_id, saga, EventFactory(CATALOG, "tests"))
    handle = SagaHandling(steps, store).handlers()[0].function
    context: Any = None
    for event in deliveries(session_id, path):
        if not isinstance(event, str):
            await handle(event, context)
        elif not await has_passed(store, Address(*steps.name, session_id)):
            await DeadlineFiring(steps, store).fire_due()


async def has_passed(store: PostgresSagaStore, address: Address) -> bool:
    """Whether the deadline of a story has passed; the next one is not to pass in it."""
    course = await store.find(address)
    assert course is not None
    return any(event.type == DeadlinePassed.event_type for event in course.taken_in)


if __name__ == "__main__":
    serve(tell_all)
