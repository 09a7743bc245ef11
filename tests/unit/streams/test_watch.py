"""Each watchdog of a worker is triggered: a blocked loop, and a stall that ends the process."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import structlog

from schemas.event import Event
from schemas.events.domain import AnalysisStarted
from streams.app import App
from streams.context import Context
from streams.records import TopicPartition
from streams.runtime.errors import WorkerStalled
from streams.runtime.inspection import NOTHING, WorkInHand
from streams.runtime.loop_watch import LoopWatch
from streams.runtime.stall_watch import NamedStall
from streams.runtime.watch import Watch, WatchSettings
from streams.settings import KafkaSettings
from streams.stall import Stall, Standing
from tests.unit.streams.bench import Bench

MakeEvent = Callable[..., Event[AnalysisStarted]]
KAFKA = KafkaSettings(bootstrap="127.0.0.1:1")


def watch(*, restarts: bool, stall_after_s: float = 20) -> tuple[Watch, list[int]]:
    ended: list[int] = []
    settings = WatchSettings(
        kafka=KAFKA, stall_after_s=stall_after_s, restart_when_stalled=restarts
    )
    return Watch([], settings, ended.append), ended


def stalled() -> NamedStall:
    source = TopicPartition("events.domain.low", 2)
    standing = Standing(subscription="main", source=source, position=7, end=9)
    return NamedStall(
        stall=Stall(standing=standing, for_s=21),
        work=WorkInHand(handler="hang", event_id="e1", offset=7),
        since=datetime(2026, 1, 1, tzinfo=UTC),
    )


async def test_a_loop_that_a_handler_blocks_is_noticed_by_a_thread_with_handler_and_event(
    bench: Bench, started: MakeEvent
) -> None:
    app, noticed = App("team"), threading.Event()
    told: list[tuple[float, WorkInHand]] = []

    @app.on("analysis.started")
    async def block(event: Event[Any], context: Context) -> None:
        assert noticed.wait(10)

    def on_blocked(silent_s: float, work: WorkInHand) -> None:
        told.append((silent_s, work))
        noticed.set()

    loop_watch = LoopWatch(on_blocked, blocked_after_s=0.1, tick_s=0.02)
    loop_watch.start()
    event = started("a")
    record = bench.record(event, 5)
    await bench.processor(app).process(record.source, [record])
    loop_watch.close()
    silent_s, work = told[0]
    assert silent_s >= 0.1
    assert work == WorkInHand(handler="block", event_id=event.id, offset=5)


async def test_a_loop_that_gets_on_is_left_in_peace() -> None:
    told: list[float] = []
    loop_watch = LoopWatch(lambda silent_s, work: told.append(silent_s), 0.5, 0.01)
    loop_watch.start()
    for _ in range(160):
        await asyncio.sleep(0.005)
    loop_watch.close()
    assert told == []


def test_a_blocked_loop_is_told_once_in_a_while_and_ends_the_process_when_asked_for() -> None:
    for restarts in (False, True):
        watching, ended = watch(restarts=restarts)
        with structlog.testing.capture_logs() as logged:
            for silent_s in range(10, 100):
                watching._blocked(float(silent_s), NOTHING)
        told = [it["for_s"] for it in logged if it["event"] == "the event loop is blocked"]
        assert told == [10, 70]
        assert ended == ([75] * 80 if restarts else [])


def test_a_loop_that_is_blocked_again_is_told_again() -> None:
    watching, _ = watch(restarts=False)
    with structlog.testing.capture_logs() as logged:
        for silent_s in (10.0, 11.0, 10.0):
            watching._blocked(silent_s, NOTHING)
    assert len(logged) == 2


def test_a_stall_ends_the_worker_only_when_asked_for() -> None:
    watching, _ = watch(restarts=False)
    watching.stall_watch.standing = [stalled()]
    watching.raise_failure()
    assert [it.page()["event_id"] for it in watching.stalls] == ["e1"]


def test_the_worker_that_ends_names_partition_handler_event_and_since(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("streams.runtime.watch.END_S", 0.01)
    watching, ended = watch(restarts=True)
    watching.stall_watch.standing = [stalled()]
    named = (
        "main stands still at events.domain.low/2 since 2026-01-01T00:00:00\\+00:00: "
        "handler hang, event e1"
    )
    with pytest.raises(WorkerStalled, match=named):
        watching.raise_failure()
    deadline = time.monotonic() + 5
    while not ended and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    assert ended == [75], "a process that does not end by itself is ended"
