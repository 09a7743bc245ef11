"""What stands still is named with handler and event; a pause or a hole in the log is not."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextvars import copy_context
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
import structlog

from schemas.event import Event
from schemas.events.domain import AnalysisStarted
from streams.app import App
from streams.context import Context
from streams.errors import BrokerUnavailable
from streams.keyed_lane import KeyedLane
from streams.lane import Lanes, OpenLane
from streams.memory.fetcher import MemoryFetcher
from streams.memory.log import MemoryLog
from streams.pages import Pages
from streams.policies import DeadLetter, Retry
from streams.records import OutgoingRecord, RawRecord, TopicPartition
from streams.runtime.inspection import frames_of, stack_of, work_in, work_of
from streams.runtime.stall_watch import StallWatch, WatchedRun, show_stalls
from streams.serial_lane import SerialLane
from streams.traced import _within
from streams.turns import AtOnce
from tests.unit.streams.bench import Bench

MakeEvent = Callable[..., Event[AnalysisStarted]]


class Member:
    """Reads one partition from its beginning."""

    def __init__(self, source: TopicPartition) -> None:
        self.is_ready = True
        self.starts = {source: 0}
        self.read = 0

    async def read_up_to(self, source: TopicPartition) -> int | None:
        return self.read


class Ends(MemoryFetcher):
    """Knows the ends of a log, unless its broker is away."""

    is_away = False

    async def ends(self, sources: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        if Ends.is_away:
            raise BrokerUnavailable("away")
        return await super().ends(sources)


class Rig:
    """One subscription with a handler that hangs, and its watch."""

    def __init__(self, bench: Bench, started: MakeEvent, concurrency: int = 1) -> None:
        self.bench, self.started = bench, started
        self.hanging = asyncio.Event()
        self.time_limits: dict[str, float] = {}
        self.processor = bench.processor(self._app())
        self.log = MemoryLog(partitions=1)
        self.source = TopicPartition(started("x").topic, 0)
        lane: OpenLane = partial(SerialLane, self.processor, AtOnce())
        if concurrency > 1:
            lane = partial(KeyedLane, self.processor, AtOnce(), concurrency)
        self.lanes = Lanes(lane)
        self.member = Member(self.source)
        run = WatchedRun(
            name="main", member=self.member, lanes=self.lanes, time_limits=self.time_limits
        )
        self.watch = StallWatch(
            [run], lambda: Ends(self.log), 0.05, lambda: datetime(2026, 1, 1, tzinfo=UTC)
        )

    def _app(self) -> App:
        app = App("team")

        @app.on("analysis.started", policies=(Retry(), DeadLetter()))
        async def hang(event: Event[AnalysisStarted], context: Context) -> None:
            if event.data.analysis_id.startswith("bad"):
                await self.hanging.wait()
            if event.data.analysis_id.startswith("out"):
                raise BrokerUnavailable("away")

        return app

    def write(self, name: str) -> Event[AnalysisStarted]:
        """Append an event, not read by anybody."""
        event = self.started(name)
        record = self.bench.record(event)
        self.log.append(OutgoingRecord(record.topic, record.key, record.value, record.headers))
        return event

    def read(self) -> None:
        """Read what was written into the lanes."""
        records = list(self.log.records(self.source, self.member.read))
        self.member.read += len(records)
        self.lanes.offer(self.source, records)

    async def look_for(self, seconds: float) -> None:
        """Look again and again."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while loop.time() < end:
            await self.watch.look()
            await asyncio.sleep(0.01)


@pytest.fixture(params=[1, 4], ids=["in order", "by keys"])
async def rig(
    request: pytest.FixtureRequest,
    bench: Bench,
    started: MakeEvent,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Rig]:
    async def outage(seconds: float) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(bench, "sleep", outage)
    rig = Rig(bench, started, request.param)
    yield rig
    Ends.is_away = False
    await rig.lanes.close()
    await rig.watch._ends.close()


async def test_a_handler_that_hangs_is_named_with_its_event_and_partition(
    rig: Rig,
) -> None:
    rig.write("good")
    bad = rig.write("bad")
    rig.read()
    with structlog.testing.capture_logs() as logged:
        await rig.look_for(0.2)
    (named,) = rig.watch.stalls
    page = named.page()
    assert (page["subscription"], page["partition"]) == ("main", str(rig.source))
    assert (page["handler"], page["event_id"], page["offset"]) == ("hang", bad.id, 1)
    assert page["for_s"] >= 0
    lines = [it for it in logged if it["event"] == "a partition stands still"]
    assert len(lines) == 1
    assert lines[0]["event_id"] == bad.id
    stacks = [it for it in logged if it["event"] == "stack of a task"]
    assert any("hang" in line for it in stacks for line in it["frames"])


async def test_a_stall_is_over_when_the_handler_returns(rig: Rig) -> None:
    rig.write("bad")
    rig.read()
    await rig.look_for(0.2)
    assert rig.watch.stalls
    rig.hanging.set()
    await rig.look_for(0.05)
    assert rig.watch.stalls == []


async def test_a_partition_that_nobody_reads_is_named_without_a_handler(rig: Rig) -> None:
    rig.write("good")
    await rig.look_for(0.2)
    (named,) = rig.watch.stalls
    assert named.page()["handler"] is None
    assert named.page()["lag"] == 1


async def test_a_subscription_that_pauses_does_not_stand_still(rig: Rig) -> None:
    rig.write("out")
    rig.read()
    await rig.look_for(0.2)
    assert rig.processor.pause is not None
    assert rig.watch.standing == []


async def test_the_pause_of_one_partition_does_not_hide_another_one_that_stands_still(
    rig: Rig,
) -> None:
    rig.write("bad")
    rig.read()
    await rig.look_for(0.03)
    other = rig.bench.record(rig.started("out"))._replace(partition=1)
    rig.member.starts[other.source] = 0
    rig.lanes.offer(other.source, [other])
    await rig.look_for(0.03)
    assert rig.processor.pause is not None
    await rig.look_for(0.03)
    assert [it.stall.standing.source for it in rig.watch.stalls] == [rig.source]


@pytest.mark.parametrize(("limit_s", "is_slow"), [(60.0, True), (math.inf, False)])
async def test_a_handler_within_its_time_limit_is_named_and_is_no_stall(
    rig: Rig, limit_s: float, is_slow: bool
) -> None:
    rig.time_limits["hang"] = limit_s
    rig.write("bad")
    rig.read()
    with structlog.testing.capture_logs() as logged:
        async with asyncio.timeout(30):
            while not (rig.watch.slow or rig.watch.stalls):
                await rig.look_for(0.05)
    assert (len(rig.watch.slow), len(rig.watch.stalls)) == ((1, 0) if is_slow else (0, 1))
    pages = Pages(dict)
    show_stalls(rig.watch, pages)
    assert pages.readiness.as_mapping()["ready"] is is_slow
    assert len(pages.readiness.as_mapping()["slow"]) == int(is_slow)
    lines = [it for it in logged if it["event"] == "a handler takes long, within its time limit"]
    assert [it["limit_s"] for it in lines] == ([limit_s] if is_slow else [])


async def test_a_handler_that_has_passed_its_time_limit_is_a_stall(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.runtime.stall_watch.MARGIN_S", 0.1)
    rig.time_limits["hang"] = 0.1
    rig.write("bad")
    rig.read()
    with structlog.testing.capture_logs() as logged:
        async with asyncio.timeout(30):
            while not rig.watch.stalls:
                await rig.look_for(0.05)
    told = [it["event"] for it in logged if it["event"] != "stack of a task"]
    assert told == ["a handler takes long, within its time limit", "a partition stands still"]


async def test_what_stands_still_is_not_forgotten_while_no_broker_answers(rig: Rig) -> None:
    rig.write("bad")
    rig.read()
    await rig.look_for(0.2)
    Ends.is_away = True
    await rig.look_for(0.05)
    assert len(rig.watch.stalls) == 1


async def test_the_ends_that_were_asked_for_are_told(rig: Rig) -> None:
    rig.write("good")
    await rig.look_for(0.02)
    (run, _) = rig.watch._watched[0]
    assert run.ends == {rig.source: 1}


async def test_holes_at_the_end_of_the_log_are_no_work(rig: Rig) -> None:
    rig.write("good")
    rig.read()
    rig.write("a marker of a transaction, as it were")
    rig.member.read = 2
    await rig.look_for(0.2)
    assert rig.watch.stalls == []


async def test_in_a_rebalance_nothing_stands_still(rig: Rig) -> None:
    rig.write("bad")
    rig.read()
    rig.member.is_ready = False
    await rig.look_for(0.2)
    assert rig.watch.stalls == []


async def test_without_a_broker_nobody_says_what_stands_still(rig: Rig) -> None:
    rig.write("bad")
    rig.read()
    Ends.is_away = True
    with structlog.testing.capture_logs() as logged:
        await rig.look_for(0.2)
    assert rig.watch.stalls == []
    assert any(it["event"] == "nobody knows the lag" for it in logged)


async def test_handlers_that_are_slow_one_after_the_other_get_on(
    bench: Bench, started: MakeEvent
) -> None:
    rig = Rig(bench, started)
    app, ticks = App("team"), asyncio.Event()

    @app.on("analysis.started")
    async def slow(event: Event[Any], context: Context) -> None:
        ticks.clear()
        await ticks.wait()

    rig.lanes = Lanes(partial(SerialLane, bench.processor(app), AtOnce()))
    run = WatchedRun(name="main", member=rig.member, lanes=rig.lanes)
    rig.watch = StallWatch(
        [run], lambda: Ends(rig.log), 0.5, lambda: datetime(2026, 1, 1, tzinfo=UTC)
    )
    for number in range(22):
        rig.write(f"n{number}")
    rig.read()
    for _ in range(20):
        await rig.look_for(0.04)
        assert rig.watch.stalls == []
        ticks.set()
    await rig.look_for(0.7)
    assert len(rig.watch.stalls) == 1
    await rig.lanes.close()


async def test_a_batch_in_hand_is_named_by_its_first_event(
    bench: Bench, started: MakeEvent
) -> None:
    app = App("team")

    @app.on("analysis.started", batch=True)
    async def hang(events: Any, context: Any) -> None:
        await asyncio.Event().wait()

    events = [started("a"), started("b")]
    records: list[RawRecord] = [bench.record(event, at) for at, event in enumerate(events)]
    task = asyncio.create_task(bench.processor(app).process(records[0].source, records))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    work = work_of([task])
    assert work.handler == "hang"
    assert work.event_id in {event.id for event in events}
    task.cancel()
    await asyncio.wait([task])


def test_frames_of_what_does_not_wait_are_none() -> None:
    assert list(frames_of(None)) == []
    assert work_in([]).handler is None


async def test_a_handler_that_hangs_inside_its_span_is_in_the_stack() -> None:
    async def hang() -> None:
        await asyncio.Event().wait()

    async def handle() -> None:
        await _within(hang(), copy_context())

    task = asyncio.create_task(handle())
    await asyncio.sleep(0)
    assert stack_of(task)[-2].endswith("hang")
    task.cancel()
    await asyncio.wait([task])
