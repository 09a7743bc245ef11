"""The pages of a worker: what is ready, what pauses, and what stands still."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

from streams.attempts import Pause
from streams.breaker import BreakerState, BreakerStatus
from streams.memory.fetcher import MemoryFetcher
from streams.memory.log import MemoryLog
from streams.metric_names import LAG_RECORDS
from streams.records import TopicPartition
from streams.runtime.health import Run, live_page
from streams.runtime.inspection import WorkInHand
from streams.runtime.running import Workings, pages_of
from streams.runtime.stall_watch import NamedStall, StallWatch, show_stalls
from streams.runtime.worker_metrics import WorkerMetrics
from streams.stall import Stall, Standing
from streams.work_metrics import WorkMetrics
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
        metrics=WorkMetrics(f"shop.{name}"),
        ends={},
    )
    parts.not_ready = partial(Run.not_ready, cast(Run, parts))
    return cast(Run, parts)


def ready(*runs: Run, stalls: Sequence[NamedStall] = ()) -> Mapping[str, Any]:
    """What `/ready` answers."""
    pages = pages_of(Workings(app="shop", runs=runs), ())
    watch = StallWatch([], lambda: MemoryFetcher(MemoryLog()), 20, lambda: datetime.now(UTC))
    watch.standing = stalls
    show_stalls(watch, pages)
    return pages.readiness.as_mapping()


def test_a_worker_is_ready_when_all_its_subscriptions_are() -> None:
    assert ready(run(), run("mailer"))["ready"]
    page = ready(run(), run("mailer", is_ready=False))
    reasons = {"subscription mailer": "no assignment is in force yet"}
    assert (page["ready"], page["reasons"]) == (False, reasons)


def test_a_worker_that_pauses_is_ready_and_says_for_what() -> None:
    page = ready(run(), run("mailer", pause=PAUSE))
    assert (page["ready"], page["stalled"], page["slow"]) == (True, [], [])
    assert page["paused"] == {"mailer": {"reason": PAUSE.reason, "waiting_for": PAUSE.waiting_for}}


def test_a_worker_that_stands_still_is_not_ready_and_names_it() -> None:
    page = ready(run(), stalls=[STALL])
    assert not page["ready"]
    assert page["reasons"] == {
        "stall": "main stands still at events.domain.low/2 since 2026-01-01T00:00:00+00:00: "
        "handler hang, event e1"
    }
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
            "limit_s": None,
        }
    ]


def test_the_live_page_shows_breakers_with_their_reason_and_since_when() -> None:
    (shown,) = live_page("shop", [run()], [BREAKER])["breakers"]
    assert datetime.fromisoformat(shown.pop("since")) < datetime.now(UTC)
    assert shown == {
        "name": "mailer",
        "state": "open",
        "reason": "refused",
        "forced": False,
        "waiting": 4,
    }


def test_the_lag_of_a_partition_that_is_no_longer_fetched_is_what_the_watch_was_told() -> None:
    stalled, source = run(), TopicPartition("events.domain.low", 2)
    feed = SimpleNamespace(positions=lambda: {source: 5}, known_ends=lambda: {source: 5})
    cast(Any, stalled.member).feed = feed
    cast(Any, stalled.lanes).backlogs = dict
    stalled.ends[source] = 9
    lags = [
        it.value for it in WorkerMetrics([stalled], ())._lag(stalled) if it.metric is LAG_RECORDS
    ]
    assert lags == [4]
