"""An entry is read from whichever worker is asked, across workers that come and go."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from tests.integration.runtime.team import Team

pytestmark = pytest.mark.kafka


async def answers(team: Team, worker: str) -> Mapping[str, Any]:
    """What a worker says of every key that was sent, by key."""
    found = {}
    for key in team.per_file:
        status, entry = await team.page(worker, f"/api/projections/per-file/{key}")
        found[key] = entry["state"]["events"] if status == 200 else (status, entry["code"])
    return found


async def until_all_answered(team: Team, worker: str) -> None:
    async with asyncio.timeout(40):
        while await answers(team, worker) != dict(team.per_file):  # noqa: ASYNC110  # another process
            await asyncio.sleep(0.1)


async def test_every_worker_answers_for_every_key_also_after_a_rebalance(team: Team) -> None:
    await team.start("one")
    await team.send(40)
    await team.until_exact()
    assert await answers(team, "one") == dict(team.per_file)
    await team.start("two")
    await team.until_shared("one", "two")
    await team.send(40)
    await team.until_exact()
    for worker in ("one", "two"):
        assert await answers(team, worker) == dict(team.per_file)
    await team.kill("one")
    await until_all_answered(team, "two")


async def test_a_question_that_nobody_can_answer_says_why(team: Team) -> None:
    await team.start("one")
    await team.send(5)
    await team.until_exact()
    for path, status, code in (
        ("nonsense/k", 404, "unknown_projection"),
        ("per-file/SourceFile/nobody", 404, "unknown_key"),
        ("per-file/SourceFile/file-1?at=2026-11-25", 400, "bad_time"),
    ):
        found, refusal = await team.page("one", f"/api/projections/{path}")
        assert (found, refusal["code"]) == (status, code)
