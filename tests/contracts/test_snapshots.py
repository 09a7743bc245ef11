"""What every Snapshots promises, in process and on PostgreSQL alike."""

from collections.abc import AsyncIterator

import pytest

from connectors.postgres.database import Database
from connectors.postgres.migrations import migrate
from connectors.postgres.snapshots import PostgresSnapshots
from connectors.settings import PostgresSettings
from streams.memory.snapshots import MemorySnapshots
from streams.snapshot import Snapshot, Snapshots


@pytest.fixture(params=["in process", pytest.param("postgres", marks=pytest.mark.postgres)])
async def snapshots(request: pytest.FixtureRequest) -> AsyncIterator[Snapshots]:
    if request.param == "in process":
        yield MemorySnapshots()
        return
    settings = PostgresSettings(dsn=request.getfixturevalue("fresh_database"))
    await migrate(settings)
    async with Database(settings) as database:
        yield PostgresSnapshots(database)


def snapshot(version: int, *, schema_version: int = 1, aggregate_id: str = "a") -> Snapshot:
    return Snapshot("Analysis", aggregate_id, schema_version, version, b'{"at": %d}' % version)


async def test_the_latest_snapshot_is_given_back_as_it_was_saved(snapshots: Snapshots) -> None:
    assert await snapshots.latest("Analysis", "a", 1) is None
    await snapshots.save(snapshot(100))
    await snapshots.save(snapshot(200))
    assert await snapshots.latest("Analysis", "a", 1) == snapshot(200)
    assert await snapshots.latest("Analysis", "b", 1) is None
    assert await snapshots.latest("Order", "a", 1) is None


async def test_a_snapshot_that_comes_late_replaces_no_newer_one(snapshots: Snapshots) -> None:
    await snapshots.save(snapshot(200))
    await snapshots.save(snapshot(100))
    assert await snapshots.latest("Analysis", "a", 1) == snapshot(200)


async def test_a_snapshot_behind_the_target_is_not_given(snapshots: Snapshots) -> None:
    await snapshots.save(snapshot(200))
    assert await snapshots.latest("Analysis", "a", 1, 199) is None
    assert await snapshots.latest("Analysis", "a", 1, 200) == snapshot(200)


async def test_two_releases_side_by_side_each_find_their_own(snapshots: Snapshots) -> None:
    await snapshots.save(snapshot(300, schema_version=2))
    await snapshots.save(snapshot(400, schema_version=1))
    assert await snapshots.latest("Analysis", "a", 2) == snapshot(300, schema_version=2)
    assert await snapshots.latest("Analysis", "a", 1) == snapshot(400, schema_version=1)


async def test_what_older_code_has_left_goes_with_the_next_save(snapshots: Snapshots) -> None:
    await snapshots.save(snapshot(100, schema_version=1))
    await snapshots.save(snapshot(100, schema_version=1, aggregate_id="b"))
    await snapshots.save(snapshot(100, schema_version=2))
    assert await snapshots.latest("Analysis", "a", 1) is None
    assert await snapshots.latest("Analysis", "b", 1) is not None


async def test_a_dropped_snapshot_is_gone_in_every_schema_version(snapshots: Snapshots) -> None:
    await snapshots.save(snapshot(100, schema_version=2))
    await snapshots.save(snapshot(100, schema_version=1))
    await snapshots.drop("Analysis", "a")
    assert await snapshots.latest("Analysis", "a", 1) is None
    assert await snapshots.latest("Analysis", "a", 2) is None
