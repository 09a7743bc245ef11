"""Projections in Postgres: each event once, in one transaction with the checkpoint, fenced."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from connectors.errors import DatabaseUnavailable
from connectors.projection_errors import FoldStopped, NoPreviousVersion, TakenOver
from connectors.projection_rebuild import Rebuild, RebuildProgress, go_back
from connectors.projection_store import (
    ProjectionStore,
    RowBatch,
    Version,
    VersionClaim,
)
from connectors.projector import Projector, ProjectorSettings, ProjectorState
from connectors.version_fold import ProjectionEdges, VersionFold
from schemas.event import Event
from streams.folding import Row
from streams.projection import Projection
from tests.integration.projections.stored import (
    PER_FILE,
    PER_PROJECT,
    POISON,
    Store,
    files,
    folded,
)
from tests.integration.projections.working import (
    eventually,
    known_of,
    live_of,
    projector,
    rebuild,
    running,
    until_at_end,
)

pytestmark = pytest.mark.postgres


@pytest.mark.parametrize("projection", [PER_FILE, PER_PROJECT], ids=lambda it: it.name)
async def test_rows_equal_the_fold_of_the_store(store: Store, projection: Projection) -> None:
    events = files(500)
    await store.put(events)
    worker = projector(store, projection)
    async with running(worker):
        await eventually(lambda: worker.status.events == 500)
        more = files(200, first=500)
        await store.put(more)
        await eventually(lambda: worker.status.events == 700)
    live = await live_of(store, projection)
    assert await store.rows_of(live.version_id) == folded(projection, [*events, *more])


async def test_an_event_that_is_stored_at_two_places_counts_once(store: Store) -> None:
    events = files(100)
    await store.put(events)
    worker = projector(store, PER_PROJECT)
    async with running(worker):
        await eventually(lambda: worker.status.events == 100)
        await store.put([*events[:60], *(more := files(10, first=100))])
        await store.put(events[20:])
        await eventually(lambda: worker.status.events == 110)
        live = await live_of(store, PER_PROJECT)
        await until_at_end(store, live)
    assert await store.rows_of(live.version_id) == folded(PER_PROJECT, [*events, *more])


async def test_a_fold_that_raises_stops_its_projection_and_no_other(store: Store) -> None:
    events = files(300)
    events[200] = files(1, first=POISON)[0]
    await store.put(events)
    failing, other = projector(store, PER_PROJECT), projector(store, replace(PER_FILE, fold=count))
    async with running(failing, other):
        await eventually(lambda: failing.status.state is ProjectorState.STOPPED)
        await eventually(lambda: other.status.events == 300)
    failure = failing.status.failure
    assert failure is not None
    assert failure.event_id == events[200].id
    live = await live_of(store, PER_PROJECT)
    assert live.failure is not None
    assert live.failure["event_id"] == events[200].id
    held = await store.rows_of(live.version_id)
    assert sum(state["files"] for state in held.values()) == failing.status.events


def count(state: dict[str, int], event: object) -> dict[str, int]:
    return {"files": state.get("files", 0) + 1}


async def test_a_stopped_projection_goes_on_with_a_corrected_fold(store: Store) -> None:
    await store.put([*files(50), *files(1, first=POISON), *files(50, first=50)])
    failing = projector(store, PER_PROJECT)
    async with running(failing):
        await eventually(lambda: failing.status.state is ProjectorState.STOPPED)
    corrected = projector(store, replace(PER_PROJECT, fold=count))
    async with running(corrected):
        await eventually(lambda: corrected.status.behind == 0 and corrected.status.events > 0)
    live = await live_of(store, PER_PROJECT)
    held = await store.rows_of(live.version_id)
    assert sum(state["files"] for state in held.values()) == 101
    assert live.failure is None


async def test_an_owner_that_was_taken_over_writes_nothing(store: Store) -> None:
    await store.put(files(10))
    rows = store.edges.store
    await rows.register("team", "team.app", PER_FILE)
    version = (await live_of(store, PER_FILE)).version_id
    first = await rows.claim(version, "one")
    assert first is not None
    assert await rows.claim(version, "two") is None
    await rows.release(first)
    second = await rows.claim(version, "two")
    assert second is not None
    late = RowBatch(rows=[Row(key="k", state=b"{}")], next={0: 1})
    with pytest.raises(TakenOver):
        await rows.write(first, late)
    advanced = await rows.write(second, RowBatch(rows=[], next={0: 1}))
    with pytest.raises(TakenOver):
        await rows.write(second, late)
    assert advanced.next[0] == 1
    assert await store.rows_of(version) == {}


class LosesAnswers:
    """A store that commits and does not say so, every second time."""

    def __init__(self, store: ProjectionStore) -> None:
        self._store = store
        self.lost = 0
        self._writes = 0

    async def write(self, claim: VersionClaim, batch: RowBatch) -> VersionClaim:
        advanced = await self._store.write(claim, batch)
        self._writes += 1
        if self._writes % 2:
            self.lost += 1
            raise DatabaseUnavailable("the answer to COMMIT is lost")
        return advanced

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


async def test_a_commit_whose_answer_is_lost_counts_nothing_twice(store: Store) -> None:
    events = files(100)
    await store.put(events)
    losing = LosesAnswers(store.edges.store)
    edges = ProjectionEdges(history=store.edges.history, store=losing)
    settings = ProjectorSettings(
        app="team", module="team.app", owner="one", poll_s=0.02, first_delay_s=0.01
    )
    worker = Projector(PER_PROJECT, edges, settings)
    async with running(worker):
        for begin in range(100, 400, 50):
            more = files(50, first=begin)
            await store.put(more)
            events += more
            await until_at_end(store, await live_of_app(store, PER_PROJECT))
    live = await live_of(store, PER_PROJECT)
    assert losing.lost > 1
    assert await store.rows_of(live.version_id) == folded(PER_PROJECT, events)


async def live_of_app(store: Store, projection: Projection) -> Version:
    """The live version, as soon as the projection is written down."""
    async with asyncio.timeout(30):
        while not await store.edges.store.find(projection.name, "team"):  # noqa: ASYNC110  # by a task
            await asyncio.sleep(0.02)
    return await live_of(store, projection)


async def test_another_process_goes_on_when_an_owner_falls_silent(store: Store) -> None:
    events = files(100)
    await store.put(events[:50])
    await store.edges.store.register("team", "team.app", PER_PROJECT)
    version = (await live_of(store, PER_PROJECT)).version_id
    silent = await store.edges.store.claim(version, "silent")
    assert silent is not None
    fold = VersionFold(PER_PROJECT, store.edges, silent)
    await fold.up_to(await store.edges.history.ends())
    await store.put(events[50:])
    standby = projector(store, PER_PROJECT, "two")
    async with running(standby):
        await eventually(lambda: standby.status.state is ProjectorState.STANDBY)
        await eventually(lambda: standby.status.events == 50)
    with pytest.raises(TakenOver):
        await fold.up_to(await store.edges.history.ends())
    assert await store.rows_of(version) == folded(PER_PROJECT, events)


async def test_a_rebuild_beside_live_traffic_equals_the_fold_and_is_switched_to(
    store: Store,
) -> None:
    events = files(2_000)
    await store.put(events)
    worker = projector(store, PER_PROJECT)
    heard: list[RebuildProgress] = []
    async with running(worker):
        await eventually(lambda: worker.status.events == 2_000)

        async def traffic() -> None:
            for begin in range(2_000, 3_000, 50):
                more = files(50, first=begin)
                await store.put(more)
                events.extend(more)

        live = asyncio.create_task(traffic())
        known = await known_of(store, PER_PROJECT)
        report = await Rebuild(known, PER_PROJECT, store.edges, "rebuild", heard.append).run()
        await live
        version = await live_of(store, PER_PROJECT)
        await until_at_end(store, version)
    assert report.parity is not None
    assert report.parity.differences == 0
    assert report.is_switched
    assert version.version == report.version == 2
    assert await store.rows_of(version.version_id) == folded(PER_PROJECT, events)
    assert [it.phase for it in heard][-1] == "switched"


async def test_a_changed_fold_shows_its_differences_and_can_be_taken_back(store: Store) -> None:
    await store.put(files(100))
    worker = projector(store, PER_PROJECT)
    async with running(worker):
        await eventually(lambda: worker.status.events == 100)
    changed = replace(PER_PROJECT, fold=count, revision=2)
    outdated = projector(store, changed)
    async with running(outdated):
        await eventually(lambda: outdated.status.state is ProjectorState.OUTDATED)
        report = await (await rebuild(store, changed)).run()
        await eventually(lambda: outdated.status.state is ProjectorState.FOLDING)
    assert report.parity is not None
    assert (report.parity.rows, report.parity.differences) == (2, 2)
    assert {it.key for it in report.parity.shown} == {"p0", "p1"}
    known = await known_of(store, PER_PROJECT)
    assert (known.live, known.previous) == (2, 1)
    back = await go_back(known, store.edges)
    assert (back.live, back.previous) == (1, 2)
    again = projector(store, PER_PROJECT)
    async with running(again):
        await store.put(files(100, first=100))
        await eventually(lambda: again.status.events == 100)
    live = await live_of(store, PER_PROJECT)
    assert await store.rows_of(live.version_id) == folded(PER_PROJECT, files(200))


async def test_a_rebuild_that_fails_names_the_event_and_changes_nothing(store: Store) -> None:
    await store.put([*files(300), *files(1, first=POISON), *files(50, first=300)])
    lenient = replace(PER_PROJECT, fold=count)
    worker = projector(store, lenient)
    async with running(worker):
        await eventually(lambda: worker.status.events == 351)
        with pytest.raises(FoldStopped, match="cannot be folded") as stopped:
            await (await rebuild(store, PER_PROJECT)).run()
        assert worker.status.state is ProjectorState.FOLDING
    known = await known_of(store, PER_PROJECT)
    assert (known.live, known.previous) == (1, None)
    versions = await store.edges.store.versions("team", PER_PROJECT.name)
    assert versions[-1].failure is not None
    assert versions[-1].failure["event_id"] == stopped.value.failure.event_id
    with pytest.raises(NoPreviousVersion):
        await go_back(known, store.edges)
    report = await (await rebuild(store, lenient)).run()
    assert report.is_switched
    left = await store.edges.store.versions("team", PER_PROJECT.name)
    assert [it.version for it in left] == [1, 3]


async def test_a_dry_rebuild_compares_and_leaves_nothing(store: Store) -> None:
    await store.put(files(100))
    worker = projector(store, PER_PROJECT)
    async with running(worker):
        await eventually(lambda: worker.status.events == 100)
        report = await (await rebuild(store, PER_PROJECT)).run(switches=False)
    assert report.parity is not None
    assert report.parity.differences == 0
    assert not report.is_switched
    versions = await store.edges.store.versions("team", PER_PROJECT.name)
    assert [it.version for it in versions] == [1]


async def test_two_rebuilds_of_a_fold_that_depends_on_order_come_to_the_same(store: Store) -> None:
    events = files(3_000, aggregates=7)
    await store.put(events)
    in_order = replace(PER_PROJECT, fold=append_lines)
    await store.edges.store.register("team", "team.app", in_order)
    await (await rebuild(store, in_order)).run()
    await store.put(files(500, first=3_000, aggregates=7))
    live = await live_of(store, in_order)
    for project, state in (await store.rows_of(live.version_id)).items():
        own = [it for it in events if it.data.project_id == project]
        times = {it.data.lines: it.timestamp_ms for it in own}
        assert sorted(state["lines"]) == sorted(times)
        assert [times[line] for line in state["lines"]] == sorted(times.values())
    report = await (await rebuild(store, in_order)).run()
    assert report.parity is not None
    assert (report.parity.rows, report.parity.differences) == (2, 0)
    assert report.events == 3_500


def append_lines(state: dict[str, Any], event: Event[Any]) -> dict[str, Any]:
    """A fold that is not commutative."""
    return {"lines": [*state.get("lines", ()), event.data.lines]}
