"""A repository over the stores that there are, several processes at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from connectors.postgres.database import Database
from connectors.postgres.event_appender import PostgresEventAppender
from connectors.postgres.event_store import PostgresEventStore
from connectors.postgres.migrations import migrate
from connectors.postgres.snapshots import PostgresSnapshots
from connectors.settings import PostgresSettings
from schemas.codec import Codec
from streams.aggregate_replay import replayed
from streams.decider import Decider
from streams.errors import VersionConflict
from streams.event_store import EventQueries
from streams.memory.appender import MemoryEventAppender
from streams.memory.log import MemoryLog
from streams.memory.schemas import MemoryWriterSchemas
from streams.memory.snapshots import MemorySnapshots
from streams.memory.stored import MemoryStoredEvents
from streams.reading import EventReading
from streams.repository import Repository, RepositoryEdges
from streams.snapshot import SnapshotForm
from tests.contracts.accounts import CATALOG, FACTORY, credited, opened
from tests.contracts.rigs import unique


class Overdrawn(Exception):
    """There is not so much."""


def decide(command: int, balance: int | None) -> Any:
    """Credit some cents; what is first opens the account."""
    if balance is not None and balance + command < 0:
        raise Overdrawn
    first = [opened("a")] if balance is None else []
    return [*first, credited("a", command)] if command else first


ACCOUNT = Decider[int, int | None](
    aggregate_type="Account",
    initial=lambda: None,
    decide=decide,
    evolve=lambda state, event: (state or 0) + event.payload.get("cents", 0),
    snapshots=SnapshotForm[int | None](
        schema_version=1, dump=lambda state: {"cents": state}, load=lambda kept: kept["cents"]
    ),
)

Open = Callable[[], "Repository[int, int | None]"]


@pytest.fixture(params=["in process", pytest.param("postgres", marks=pytest.mark.postgres)])
async def stores(
    request: pytest.FixtureRequest,
) -> AsyncIterator[Callable[[], RepositoryEdges]]:
    """Makes the edges of one more process."""
    codec = Codec(CATALOG)
    async with AsyncExitStack() as closing:
        if request.param == "in process":
            log, kept = MemoryLog(), MemorySnapshots()
            schemas = MemoryWriterSchemas(log, codec, wait_s=0)
            reading = EventReading(codec, schemas, lambda _type: True)

            def in_process() -> RepositoryEdges:
                appender = MemoryEventAppender(log, CATALOG, codec, schemas)
                stored = MemoryStoredEvents(log, reading)
                return RepositoryEdges(
                    stored=stored, appender=appender, factory=FACTORY, snapshots=kept
                )

            yield in_process
            return
        settings = PostgresSettings(dsn=request.getfixturevalue("fresh_database"), pool_size=2)
        await migrate(settings)
        database = await closing.enter_async_context(Database(settings))
        unknown = MemoryWriterSchemas(MemoryLog(), codec, wait_s=0)

        def on_postgres() -> RepositoryEdges:
            stored: EventQueries = PostgresEventStore(database, codec, unknown)
            return RepositoryEdges(
                stored=stored,
                appender=PostgresEventAppender(database, CATALOG, codec),
                factory=FACTORY,
                snapshots=PostgresSnapshots(database),
            )

        yield on_postgres


async def test_commands_of_many_processes_are_each_carried_out_once(
    stores: Callable[[], RepositoryEdges],
) -> None:
    repositories = [Repository(ACCOUNT, stores(), tries=50, snapshot_every=7) for _ in range(5)]
    await repositories[0].execute("a", 0)
    commands = [unique("command") for _ in range(10)]

    async def execute(repository: Repository[int, int | None], command: str) -> int:
        done = await repository.execute("a", 1, command_id=command)
        return done.version

    # Every command is given to two processes at the same time.
    versions = await asyncio.gather(
        *(
            execute(repositories[(at + other) % 5], command)
            for at, command in enumerate(commands)
            for other in (0, 1)
        )
    )
    assert sorted(versions) == [version for version in range(2, 12) for _ in (0, 1)]
    loaded = await Repository(ACCOUNT, stores()).load("a")
    assert (loaded.state, loaded.version) == (10, 11)
    assert loaded.read < 7
    assert (await replayed(ACCOUNT, stores().stored, "a", 4)).state == 3


async def test_a_repeat_that_is_refused_now_gets_its_first_result(
    stores: Callable[[], RepositoryEdges],
) -> None:
    repository = Repository(ACCOUNT, stores())
    await repository.execute("a", 5)
    first = await repository.execute("a", -5, command_id="withdraw")
    with pytest.raises(Overdrawn):
        await repository.execute("a", -5, command_id="another")
    again = await Repository(ACCOUNT, stores()).execute("a", -5, command_id="withdraw")
    assert again.is_repeat
    assert [event.id for event in again.events] == [event.id for event in first.events]
    assert (again.version, again.state) == (first.version, 0)


async def test_who_may_try_once_is_told_that_another_was_faster(
    stores: Callable[[], RepositoryEdges],
) -> None:
    repositories = [Repository(ACCOUNT, stores(), tries=1) for _ in range(8)]
    outcomes = await asyncio.gather(
        *(repository.execute("a", 1) for repository in repositories), return_exceptions=True
    )
    refused = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert all(isinstance(outcome, VersionConflict) for outcome in refused)
    loaded = await repositories[0].load("a")
    assert loaded.state == 8 - len(refused)
