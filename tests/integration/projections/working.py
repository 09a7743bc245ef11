"""Projectors and rebuilds at work on the rows of a test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from connectors.projection_rebuild import Rebuild
from connectors.projection_store import KnownProjection, Version
from connectors.projector import Projector, ProjectorSettings
from streams.projection import Projection
from tests.integration.projections.stored import Store


def projector(store: Store, projection: Projection, owner: str = "one") -> Projector:
    settings = ProjectorSettings(
        app="team", module="team.app", owner=owner, poll_s=0.02, look_again_s=0.1
    )
    return Projector(projection, store.edges, settings)


@asynccontextmanager
async def running(*projectors: Projector) -> AsyncIterator[None]:
    stop = asyncio.Event()
    tasks = [asyncio.create_task(it.run(stop)) for it in projectors]
    try:
        yield
    finally:
        stop.set()
        await asyncio.gather(*tasks)


async def eventually(condition: Callable[[], bool], within_s: float = 30) -> None:
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110  # a projector tells nobody that it has caught up
            await asyncio.sleep(0.02)


async def until_known(store: Store, projection: Projection) -> None:
    """Wait until a projector has registered its projection."""
    async with asyncio.timeout(30):
        while not await store.edges.store.find(projection.name, "team"):  # noqa: ASYNC110  # by a task
            await asyncio.sleep(0.02)


async def until_at_end(store: Store, version: Version) -> None:
    """Wait until a version is folded up to the end of the store."""
    ends = await store.edges.history.ends()
    async with asyncio.timeout(30):
        while await store.edges.store.checkpoints(version.version_id) != ends:  # noqa: ASYNC110  # it is Postgres that changes
            await asyncio.sleep(0.02)


async def known_of(store: Store, projection: Projection) -> KnownProjection:
    (known,) = await store.edges.store.find(projection.name, "team")
    return known


async def live_of(store: Store, projection: Projection) -> Version:
    known = await known_of(store, projection)
    versions = await store.edges.store.versions("team", projection.name)
    return next(it for it in versions if it.version == known.live)


async def rebuild(store: Store, projection: Projection) -> Rebuild:
    return Rebuild(await known_of(store, projection), projection, store.edges, "rebuild")
