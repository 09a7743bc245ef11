"""A real worker that stands still says where, and ends when it is told to."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from tests.integration.runtime.mailing import BLOCK, HANG
from tests.integration.runtime.team import Team

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(150)]

NAMED_WITHIN_S = 30.0


async def until_not_ready(team: Team) -> dict[str, Any]:
    """The page `/ready` once it names a stall."""
    async with asyncio.timeout(60):
        while True:
            status, page = await team.page("one", "/ready")
            if status == 503 and page["stalled"]:
                return dict(page)
            await asyncio.sleep(0.1)


def log_of(team: Team) -> str:
    return (team.folder / "one" / "log").read_text()


async def test_a_handler_that_hangs_without_a_time_limit_is_named_within_thirty_seconds(
    mail_team: Team,
) -> None:
    await mail_team.start("one")
    await mail_team.until_live("one", "ready")
    assert (await mail_team.page("one", "/ready"))[0] == 200
    await mail_team.send(1, error=HANG)
    began = time.monotonic()
    page = await until_not_ready(mail_team)
    named_s = time.monotonic() - began
    (stall,) = page["stalled"]
    assert stall["subscription"] == "main"
    assert stall["handler"] == "note"
    assert stall["partition"].startswith(f"events-{mail_team.name}/")
    assert stall["lag"] == 1
    # The other subscription waits for its mailer, which says so: it is no stall.
    assert list(page["paused"]) == ["mailer"]
    text = log_of(mail_team)
    assert text.count("a partition stands still") == 1
    assert stall["event_id"] in text
    assert "mailing.py" in text
    assert "Current thread" in text
    assert named_s <= NAMED_WITHIN_S


async def test_a_worker_that_is_told_to_ends_with_75_and_is_started_again(mail_team: Team) -> None:
    await mail_team.start("one", "--stall-after-s", "3", "--restart-when-stalled")
    await mail_team.until_live("one", "ready")
    await mail_team.send(1, error=HANG)
    assert await mail_team.ended("one") == 75
    await mail_team.start("one", "--stall-after-s", "3", "--restart-when-stalled")
    assert await mail_team.ended("one") == 75, "the event is read again: nothing was skipped"


async def test_a_loop_that_is_blocked_is_told_by_a_thread_which_ends_the_process(
    mail_team: Team,
) -> None:
    await mail_team.start("one", "--stall-after-s", "4", "--restart-when-stalled")
    await mail_team.until_live("one", "ready")
    await mail_team.send(1, error=BLOCK)
    assert await mail_team.ended("one") == 75
    text = log_of(mail_team)
    assert "the event loop is blocked" in text
    assert "'note'" in text or "handler=note" in text
    assert "mailing.py" in text


async def test_a_partition_that_nobody_reads_any_more_is_named(mail_team: Team) -> None:
    await mail_team.start("one", "--stall-after-s", "3", "--stop-reading")
    await mail_team.until_live("one", "ready")
    await mail_team.send(20)
    stalled: list[dict[str, Any]] = []
    async with asyncio.timeout(60):
        while sum(it["lag"] for it in stalled) < 20:
            page = await until_not_ready(mail_team)
            stalled = [it for it in page["stalled"] if it["subscription"] == "main"]
    assert {it["handler"] for it in stalled} == {None}
