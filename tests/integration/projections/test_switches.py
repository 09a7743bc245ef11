"""The switch to a version: to one that is there, and by who has built it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from connectors.postgres.projection_store import PostgresProjectionStore
from connectors.projection_errors import TakenOver, VersionGone
from connectors.projection_rebuild import Rebuild, go_back
from connectors.projection_store import KnownProjection, Parity, UpTo, VersionClaim
from connectors.projector import ProjectorState
from connectors.version_fold import ProjectionEdges
from tests.integration.projections.stored import PER_PROJECT, Store, files, folded
from tests.integration.projections.working import (
    eventually,
    known_of,
    live_of,
    projector,
    rebuild,
    running,
    until_at_end,
    until_known,
)

pytestmark = pytest.mark.postgres

LEASE_S = 2.0


class Interrupted(PostgresProjectionStore):
    """A store in which something happens right before a switch, and a comparison takes long."""

    def __init__(self, store: Store, before_switch: Callable[[], Awaitable[object]]) -> None:
        super().__init__(store.database, lease_s=LEASE_S)
        self.compares_for_s = 0.0
        self._before_switch = before_switch

    async def compare(self, before: int, after: int, up_to: UpTo) -> Parity:
        parity = await super().compare(before, after, up_to)
        await asyncio.sleep(self.compares_for_s)
        return parity

    async def switch(
        self, known: KnownProjection, version: int, claim: VersionClaim | None = None
    ) -> KnownProjection:
        await self._before_switch()
        return await super().switch(known, version, claim)


async def rebuild_on(store: Store, rows: Interrupted) -> Rebuild:
    edges = ProjectionEdges(history=store.edges.history, store=rows)
    return Rebuild(await known_of(store, PER_PROJECT), PER_PROJECT, edges, "first")


async def run(store: Store, statement: str) -> None:
    async with store.database.transaction() as connection:
        await connection.execute(statement)


async def folded_once(store: Store) -> None:
    await store.put(files(100))
    async with running(projector(store, PER_PROJECT)):
        await until_known(store, PER_PROJECT)
        await until_at_end(store, await live_of(store, PER_PROJECT))


async def test_a_version_that_was_removed_is_not_switched_to(store: Store) -> None:
    await folded_once(store)

    async def remove() -> None:
        await run(store, "DELETE FROM projection_versions WHERE version = 2")

    with pytest.raises(TakenOver):
        await (await rebuild_on(store, Interrupted(store, remove))).run()
    known = await known_of(store, PER_PROJECT)
    assert (known.live, known.previous) == (1, None)


async def test_a_rebuild_whose_version_was_taken_over_switches_nothing(store: Store) -> None:
    await folded_once(store)

    async def take_over() -> None:
        await run(store, "UPDATE projection_versions SET leased_until = '-infinity'")
        (*_, made) = await store.edges.store.versions("team", PER_PROJECT.name)
        assert await store.edges.store.claim(made.version_id, "second") is not None

    with pytest.raises(TakenOver):
        await (await rebuild_on(store, Interrupted(store, take_over))).run()
    assert (await known_of(store, PER_PROJECT)).live == 1


async def test_another_rebuild_leaves_a_version_alone_until_it_is_live(store: Store) -> None:
    await folded_once(store)

    async def another() -> None:
        await (await rebuild(store, PER_PROJECT)).run(switches=False)

    rows = Interrupted(store, another)
    rows.compares_for_s = LEASE_S + 1
    report = await (await rebuild_on(store, rows)).run()
    live = await live_of(store, PER_PROJECT)
    assert live.version == report.version == 2
    assert not live.is_worked_on
    assert await store.rows_of(live.version_id) == folded(PER_PROJECT, files(100))


async def test_nobody_goes_back_to_a_version_that_was_removed(store: Store) -> None:
    await folded_once(store)
    await (await rebuild(store, PER_PROJECT)).run()
    await run(store, "DELETE FROM projection_versions WHERE version = 1")
    with pytest.raises(VersionGone, match="Version 1 of 'per-project' was removed"):
        await go_back(await known_of(store, PER_PROJECT), store.edges)
    assert (await known_of(store, PER_PROJECT)).live == 2


async def test_a_projector_without_a_live_version_waits_for_one(store: Store) -> None:
    await folded_once(store)
    await run(store, "UPDATE projections SET live = 7")
    worker = projector(store, PER_PROJECT)
    async with running(worker):
        await eventually(lambda: worker.status.state is ProjectorState.WAITING)
        assert worker.status.waiting_for == "connectors.no_live_version"
        await (await rebuild(store, PER_PROJECT)).run()
        await eventually(lambda: worker.status.state is ProjectorState.FOLDING)
    live = await live_of(store, PER_PROJECT)
    assert await store.rows_of(live.version_id) == folded(PER_PROJECT, files(100))


async def test_a_stopped_projector_waits_for_a_live_version(store: Store) -> None:
    def refuses(_state: Any, _event: Any) -> Any:
        raise ValueError("cannot be folded")

    await store.put(files(10))
    worker = projector(store, replace(PER_PROJECT, fold=refuses))
    async with running(worker):
        await eventually(lambda: worker.status.state is ProjectorState.STOPPED)
        await run(store, "UPDATE projections SET live = 7")
        report = await (await rebuild(store, PER_PROJECT)).run()
        await eventually(lambda: worker.status.version == report.version)
