"""A worker that is frozen past its session and then goes on changes nothing that others own now."""

from __future__ import annotations

import asyncio

import pytest

from tests.integration.runtime.tally import OUTAGE
from tests.integration.runtime.team import Team

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

FILES = 40


async def test_a_thawed_worker_leaves_the_totals_of_the_next_owner_alone(team: Team) -> None:
    await team.start("one")
    await team.start("two")
    await team.until_shared("one", "two")
    await team.send(FILES, error=OUTAGE)
    for worker in ("one", "two"):
        await team.until_live(worker, "pause")
    with team.frozen("two"):
        team.healed.touch()
        await team.until_exact()
        await team.send(FILES)
        await team.send(FILES)
        await team.until_exact()
    await team.until_shared("one", "two")
    await team.until_exact()
    await asyncio.gather(team.kill("one"), team.kill("two"))
    await team.start("three")
    await team.until_exact()
