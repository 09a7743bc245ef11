"""The pages of a worker: what is ready, what pauses, and what stands still."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import aiohttp

from streams.attempts import Pause
from streams.breaker import BreakerState, BreakerStatus
from streams.records import TopicPartition
from streams.runtime.health import HeldUp, Run, live_page, ready_page
from streams.runtime.http import Health, TableView, WorkerPages
from streams.runtime.inspection import WorkInHand
from streams.runtime.stall_watch import NamedStall
from streams.stall import Stall, Standing
from tests.unit.streams.idle import idle_lot

PAUSE = Pause(reason="BreakerOpen: breaker mailer is open: refused", waiting_for="handler mail")
STALL = NamedStall(
    stall=Stall(
        standing=Standing(
            subscription="main", source=TopicPartition("events.domain.low", 2), position=7, end=9
        ),
        for_s=21,
    ),
    work=WorkInHand(handler="hang", event_id="e1", offset=8),
    since=datetime(2026, 1, 1, tzinfo=UTC),
)
BREAKER = BreakerStatus(
    name="mailer", state=BreakerState.OPEN, reason="refused", for_s=3, forced=False, waiting=4
)


@dataclass
class Member:
    """As much of a member as pages ask for."""

    is_ready: bool = True
    recovery: list[Any] = field(default_factory=list)

    def assigned(self) -> list[TopicPartition]:
        return []

    def committed(self) -> dict[TopicPartition, int]:
        return {}


def run(name: str = "main", *, is_ready: bool = True, pause: Pause | None = None) -> Run:
    parts = SimpleNamespace(
        name=name,
        member=Member(is_ready),
        lanes=SimpleNamespace(unfinished=0),
        process=SimpleNamespace(processed=0, pause=pause),
        lot=idle_lot(),
    )
    return cast(Run, parts)


def test_a_worker_is_ready_when_all_its_subscriptions_are() -> None:
    assert ready_page([run(), run("mailer")], HeldUp())[0] == 200
    status, page = ready_page([run(), run("mailer", is_ready=False)], HeldUp())
    assert (status, page["subscriptions"]) == (503, {"main": True, "mailer": False})


def test_a_worker_that_pauses_is_ready_and_says_for_what() -> None:
    status, page = ready_page([run(), run("mailer", pause=PAUSE)], HeldUp(breakers=[BREAKER]))
    assert status == 200
    assert page["paused"] == {"mailer": {"reason": PAUSE.reason, "waiting_for": PAUSE.waiting_for}}


def test_a_worker_that_stands_still_is_not_ready_and_names_it() -> None:
    status, page = ready_page([run()], HeldUp(stalls=[STALL]))
    assert (status, page["ready"]) == (503, False)
    assert page["stalled"] == [
        {
            "subscription": "main",
            "partition": "events.domain.low/2",
            "handler": "hang",
            "event_id": "e1",
            "offset": 8,
            "lag": 2,
            "since": "2026-01-01T00:00:00+00:00",
            "for_s": 21,
        }
    ]


def test_the_live_page_shows_breakers_with_their_reason_and_since_when() -> None:
    (shown,) = live_page("shop", [run()], HeldUp(breakers=[BREAKER]))["breakers"]
    assert datetime.fromisoformat(shown.pop("since")) < datetime.now(UTC)
    assert shown == {
        "name": "mailer",
        "state": "open",
        "reason": "refused",
        "forced": False,
        "waiting": 4,
    }


async def test_the_ready_page_is_served_with_its_status() -> None:
    health = Health(live=dict, ready=lambda: (503, {"ready": False}))
    pages = WorkerPages(health, cast(TableView, SimpleNamespace()))
    port = await pages.start(0)
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{port}/ready") as response,
        ):
            assert (response.status, await response.json()) == (503, {"ready": False})
    finally:
        await pages.close()
