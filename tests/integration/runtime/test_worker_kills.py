"""Workers that are killed, at any moment and at the worst one: totals stay exact."""

from __future__ import annotations

import os
import signal

import pytest

from streams.table_store import TableStore
from tests.integration.runtime.team import Team

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

KILLS = int(os.environ.get("WUNDR_TEST_KILLS", "1"))
"""Each takes the session timeout of 10 s: the whole proof of 30 is run by hand."""

FILES = 40


@pytest.mark.timeout(60 + 30 * KILLS)
async def test_totals_equal_what_was_sent_when_one_of_two_workers_is_killed_again_and_again(
    team: Team,
) -> None:
    await team.start("one")
    await team.start("two")
    async with team.under_load():
        await team.until_shared("one", "two")
        for kill in range(KILLS):
            worker = ("one", "two")[kill % 2]
            await team.kill(worker)
            await team.start(worker)
            await team.until_live(worker, "processed")
    await team.until_exact()
    assert await team.dead_letters() == []


@pytest.mark.parametrize(("store", "batches"), [(TableStore.MEMORY, 1), (TableStore.ROCKSDB, 3)])
async def test_a_kill_between_changelog_and_commit_changes_nothing(
    team: Team, store: TableStore, batches: int
) -> None:
    kept_in = f"--store={store}"
    await team.start("one", kept_in, f"--die-after-flush={batches}")
    for _ in range(batches):
        await team.send(FILES)
    assert await team.ended("one") == -signal.SIGKILL
    await team.start("one", kept_in)
    await team.until_exact()
