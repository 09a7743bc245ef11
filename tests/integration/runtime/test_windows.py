"""Counts by windows of time are whole, and stay closed, over kills and rebalances."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from tests.integration.runtime.team import Team

pytestmark = pytest.mark.kafka

Windowed = Mapping[str, Mapping[str, Any]]


async def windows_of(team: Team) -> dict[str, Windowed]:
    """The windows of every project, over all workers."""
    return {
        project: state["windows"]
        for worker in team.workers
        for project, state in (await team.table(worker, "per-second")).items()
    }


def closed_in(found: Mapping[str, Windowed]) -> list[tuple[str, str]]:
    return [
        (project, start)
        for project, windows in found.items()
        for start, window in windows.items()
        if window["closed"]
    ]


async def until_some_are_closed(team: Team) -> dict[str, Windowed]:
    async with asyncio.timeout(40):
        while not closed_in(found := await windows_of(team)):  # noqa: ASYNC110  # other processes
            await asyncio.sleep(0.1)
        return found


async def until_whole(team: Team) -> dict[str, Windowed]:
    """Wait until the windows hold what was sent, each event once."""
    async with asyncio.timeout(40):
        while True:
            found = await windows_of(team)
            held = {project: counted(it) for project, it in found.items()}
            assert all(count <= team.per_project[project] for project, count in held.items())
            if held == dict(team.per_project):
                return found
            await asyncio.sleep(0.1)


def counted(windows: Windowed) -> int:
    return sum(it["state"]["events"] + it["late"] for it in windows.values())


async def test_windows_are_whole_and_stay_closed_when_a_worker_is_killed_under_load(
    team: Team,
) -> None:
    await team.start("one")
    await team.start("two")
    async with team.under_load():
        await team.until_shared("one", "two")
        await team.until_live("two", "processed")
        before = await until_some_are_closed(team)
        await team.kill("one")
        await team.start("three")
        await team.until_live("three", "processed")
    await team.until_exact()
    after = await until_whole(team)
    for project, start in closed_in(before):
        assert after[project][start]["closed"]
        assert after[project][start]["state"] == before[project][start]["state"]
