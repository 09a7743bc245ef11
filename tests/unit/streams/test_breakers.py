"""Handlers behind a breaker: what waits, what wakes it, and what never counts as an outage."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import pytest

from schemas.event import Event
from schemas.events.domain import AnalysisStarted
from streams.app import App
from streams.attempts import Attempts
from streams.breaker import BreakerState
from streams.breakers import Breakers, breaker_key
from streams.context import Context
from streams.errors import BreakerOpen
from streams.layering import Layering
from streams.policies import Breaker, DeadLetter, Deduplicate, Policy, Retry, TimeOut
from streams.processor import AppProcessor
from streams.records import RawRecord
from streams.rehearsal import Rehearsal
from streams.retry import RetrySchedule
from tests.unit.streams.bench import Bench

MakeEvent = Callable[..., Event[AnalysisStarted]]
POLICY = Breaker("mailer", threshold=2, timeout_s=0.05)
STACK: tuple[Policy, ...] = (TimeOut(5), Retry(tries=3, first_delay_s=0), POLICY, DeadLetter())


class Mailer:
    """A dependency that can be away, and counts who asks it."""

    def __init__(self) -> None:
        self.is_away = True
        self.asked = 0
        self.sent: list[str] = []

    async def send(self, what: str) -> None:
        self.asked += 1
        await asyncio.sleep(0)
        if self.is_away:
            raise ConnectionRefusedError("mailer")
        self.sent.append(what)


def mailing(mailer: Mailer, policies: tuple[Policy, ...] = STACK) -> App:
    app = App("team")

    @app.on("analysis.started", policies=policies)
    async def mail(event: Event[AnalysisStarted], context: Context) -> None:
        await mailer.send(event.data.analysis_id)

    return app


def records_of(bench: Bench, started: MakeEvent, count: int, partition: int = 0) -> list[RawRecord]:
    names = [f"{partition}-{number}" for number in range(count)]
    return [bench.record(started(name), at, partition) for at, name in enumerate(names)]


def breakers_of(processor: AppProcessor) -> Breakers:
    return processor._edges.breakers


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110  # nobody tells of it
            await asyncio.sleep(0.001)


async def test_work_waits_at_an_open_breaker_and_goes_on_by_itself_with_nothing_lost(
    bench: Bench, started: MakeEvent
) -> None:
    mailer = Mailer()
    processor = bench.processor(mailing(mailer))
    lanes = [records_of(bench, started, 5, partition) for partition in range(3)]
    work = asyncio.gather(*(processor.process(lane[0].source, lane) for lane in lanes))
    await until(lambda: breakers_of(processor).status[0].waiting == 3)
    pause = processor.pause
    assert pause is not None
    assert pause.reason == (
        "BreakerOpen: breaker mailer is open: ConnectionRefusedError: mailer"
    ) or pause.reason.startswith("BreakerOpen: breaker mailer is half_open")
    assert pause.waiting_for == "handler mail"
    mailer.is_away = False
    await work
    assert sorted(mailer.sent) == sorted(f"{lane}-{n}" for lane in range(3) for n in range(5))
    assert bench.log.topic("dlq.team") == []
    assert processor.pause is None


async def test_while_it_is_open_one_try_at_a_time_asks_the_dependency(
    bench: Bench, started: MakeEvent
) -> None:
    mailer = Mailer()
    processor = bench.processor(mailing(mailer))
    lanes = [records_of(bench, started, 1, partition) for partition in range(8)]
    began = asyncio.get_running_loop().time()
    work = asyncio.gather(*(processor.process(lane[0].source, lane) for lane in lanes))
    await until(lambda: mailer.asked >= 12)
    lasted = asyncio.get_running_loop().time() - began
    # Eight lanes that began before it opened, then one for each time that it was over.
    assert mailer.asked <= 8 + 1 + lasted / 0.05
    mailer.is_away = False
    await work


async def test_an_event_that_cannot_be_handled_never_opens_it(
    bench: Bench, started: MakeEvent
) -> None:
    app = App("team")

    @app.on("analysis.started", policies=STACK)
    async def refuse(event: Event[Any], context: Context) -> None:
        raise ValueError(event.id)

    processor = bench.processor(app)
    records = records_of(bench, started, 5)
    await processor.process(records[0].source, records)
    await bench.redo()
    assert breakers_of(processor).status[0].state is BreakerState.CLOSED
    assert len(bench.log.topic("dlq.team")) == 5


async def test_a_try_that_is_overdue_counts_and_its_event_has_failed(
    bench: Bench, started: MakeEvent
) -> None:
    app = App("team")
    hangs = True

    @app.on("analysis.started", policies=(TimeOut(0.02), Retry(tries=2), POLICY, DeadLetter()))
    async def hang(event: Event[Any], context: Context) -> None:
        if hangs:
            await asyncio.Event().wait()

    processor = bench.processor(app)
    records = records_of(bench, started, 2)
    work = asyncio.create_task(processor.process(records[0].source, records))
    await until(lambda: breakers_of(processor).status[0].state is not BreakerState.CLOSED)
    assert "hang took more than 0.02 s" in breakers_of(processor).status[0].reason
    hangs = False
    await work
    letter = bench.log.topic("retry.team")[0]
    assert b"HandlerTimedOut" in (letter.header("wundr_last_error") or b"")


async def test_work_that_is_cancelled_while_it_looks_lets_another_one_look(
    bench: Bench, started: MakeEvent
) -> None:
    mailer = Mailer()
    processor = bench.processor(mailing(mailer))
    held = asyncio.Event()
    lanes = [records_of(bench, started, 1, partition) for partition in range(3)]
    tasks = [asyncio.create_task(processor.process(lane[0].source, lane)) for lane in lanes]
    await until(lambda: breakers_of(processor).status[0].waiting == 3)

    async def hold(what: str) -> None:
        mailer.asked += 1
        await held.wait()
        mailer.sent.append(what)

    before, mailer.asked = mailer.asked, 0
    assert before >= 2
    mailer.send = hold  # type: ignore[method-assign]  # the dependency answers slowly now
    await until(lambda: mailer.asked == 1)
    assert breakers_of(processor).status[0].waiting == 2
    for task in tasks:
        if task.get_coro() is not None and not task.done():
            task.cancel()
            break
    await asyncio.wait({task})
    held.set()
    await asyncio.gather(*(it for it in tasks if it is not task))
    assert len(mailer.sent) == 2


async def test_all_that_waits_goes_on_when_it_is_ordered_closed_and_none_when_open(
    bench: Bench, started: MakeEvent
) -> None:
    mailer = Mailer()
    processor = bench.processor(mailing(mailer))
    breakers, key = breakers_of(processor), breaker_key("team", "mailer")
    breakers.ordered(key, {"state": "open", "reason": "the mailer moves"})
    mailer.is_away = False
    lanes = [records_of(bench, started, 2, partition) for partition in range(3)]
    work = asyncio.gather(*(processor.process(lane[0].source, lane) for lane in lanes))
    await until(lambda: breakers.status[0].waiting == 3)
    assert mailer.asked == 0
    assert processor.pause is not None
    assert "breaker mailer is held open: the mailer moves" in processor.pause.reason
    breakers.ordered(key, {"state": "closed"})
    await work
    assert len(mailer.sent) == 6


async def test_an_order_that_is_taken_back_has_the_next_try_decide_at_once(
    bench: Bench, started: MakeEvent
) -> None:
    mailer = Mailer()
    slow = (Retry(), Breaker("mailer", timeout_s=3_600), DeadLetter())
    processor = bench.processor(mailing(mailer, slow))
    breakers, key = breakers_of(processor), breaker_key("team", "mailer")
    breakers.ordered(key, {"state": "open"})
    mailer.is_away = False
    records = records_of(bench, started, 3)
    work = asyncio.create_task(processor.process(records[0].source, records))
    await until(lambda: breakers.status[0].waiting == 1)
    breakers.ordered(key, None)
    await asyncio.wait_for(work, 5)
    assert len(mailer.sent) == 3
    assert not breakers.status[0].forced


async def test_an_order_holds_for_breakers_that_are_made_later() -> None:
    breakers = Breakers()
    breakers.ordered(breaker_key("team", "mailer"), {"state": "open", "reason": "moved"})
    gate = breakers.gate("mailer", POLICY)
    with pytest.raises(BreakerOpen, match="breaker mailer is held open: moved"):
        gate.admit()


@pytest.mark.parametrize("order", [{}, {"state": "half_open"}, {"state": 3}])
def test_an_order_that_says_no_state_changes_nothing(order: dict[str, Any]) -> None:
    breakers = Breakers()
    breakers.gate("mailer", POLICY)
    breakers.ordered(breaker_key("team", "mailer"), order)
    assert breakers.status[0].state is BreakerState.CLOSED
    assert not breakers.status[0].forced


def test_breakers_of_one_name_are_one() -> None:
    breakers = Breakers()
    assert breakers.gate("mailer", POLICY) is breakers.gate("mailer", POLICY)
    assert breakers.gate("other", POLICY) is not breakers.gate("mailer", POLICY)


async def test_layers_of_a_team_are_around_each_try_outermost_first(
    bench: Bench, started: MakeEvent
) -> None:
    entered: list[str] = []

    def layer(name: str) -> Callable[..., Any]:
        def around(function: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
            async def run(event: Any, context: Context) -> None:
                entered.append(name)
                await function(event, context)

            return run

        return around

    app = App("team")

    @app.on("analysis.started", policies=(layer("outer"), POLICY, layer("inner"), DeadLetter()))
    async def note(event: Event[Any], context: Context) -> None:
        entered.append("handler")

    records = records_of(bench, started, 1)
    await bench.processor(app).process(records[0].source, records)
    assert entered == ["outer", "inner", "handler"]


async def test_a_copy_further_on_is_left_out_and_a_record_that_is_read_again_is_not(
    bench: Bench, started: MakeEvent
) -> None:
    mailer = Mailer()
    mailer.is_away = False
    processor = bench.processor(mailing(mailer, (Deduplicate(), Retry(), DeadLetter())))
    event = started("a")
    first, copy = bench.record(event, 3), bench.record(event, 4)
    elsewhere = bench.record(event, 9, partition=1)
    await processor.process(first.source, [first, copy])
    assert mailer.sent == ["a"]
    await processor.process(first.source, [first, copy])
    assert mailer.sent == ["a", "a"]
    await processor.process(elsewhere.source, [elsewhere])
    assert mailer.sent == ["a", "a", "a"]


async def test_only_so_many_ids_are_remembered(bench: Bench, started: MakeEvent) -> None:
    mailer = Mailer()
    mailer.is_away = False
    processor = bench.processor(mailing(mailer, (Deduplicate(1), Retry(), DeadLetter())))
    one, two = started("a"), started("b")
    records = [bench.record(event, at) for at, event in enumerate((one, two, one, one))]
    await processor.process(records[0].source, records)
    assert mailer.sent == ["a", "b", "a"]


async def test_a_batch_has_no_copies_of_an_earlier_batch(bench: Bench, started: MakeEvent) -> None:
    app = App("team")
    seen: list[str] = []

    @app.on("analysis.started", batch=True, policies=(Deduplicate(), Retry(), DeadLetter()))
    async def note(events: list[Event[Any]], context: Any) -> None:
        seen.extend(event.data.analysis_id for event in events)

    processor = bench.processor(app)
    one, two = started("a"), started("b")
    for offsets in ((0,), (1, 2)):
        records = [bench.record(one if at < 2 else two, at) for at in offsets]
        await processor.process(records[0].source, records)
    assert seen == ["a", "b"]


@pytest.mark.parametrize("error", [MemoryError, asyncio.CancelledError])
async def test_an_event_that_raises_what_is_no_ordinary_error_fails_alone(
    bench: Bench, started: MakeEvent, error: type[BaseException]
) -> None:
    app = App("team")
    handled: list[str] = []

    @app.on("analysis.started", policies=STACK)
    async def exhaust(event: Event[AnalysisStarted], context: Context) -> None:
        if event.data.analysis_id == "0-1":
            raise error
        handled.append(event.data.analysis_id)

    processor = bench.processor(app)
    records = records_of(bench, started, 3)
    await processor.process(records[0].source, records)
    await bench.redo()
    assert handled == ["0-0", "0-2"]
    assert len(bench.log.topic("dlq.team")) == 1
    assert breakers_of(processor).status[0].state is BreakerState.CLOSED


async def test_a_handler_that_fails_at_random_handles_every_event(
    bench: Bench, started: MakeEvent
) -> None:
    app, chance = App("team"), Random(7)
    handled: list[str] = []

    @app.on("analysis.started", policies=(Retry(tries=12), DeadLetter()))
    async def flaky(event: Event[AnalysisStarted], context: Context) -> None:
        if chance.random() < 0.1:
            raise ValueError("at random")
        handled.append(event.data.analysis_id)

    records = records_of(bench, started, 500)
    await bench.processor(app).process(records[0].source, records)
    failed = 500 - len(handled)
    assert failed > 20
    await bench.redo()
    assert sorted(handled) == sorted(f"0-{number}" for number in range(500))
    assert bench.log.topic("dlq.team") == []


def test_a_handler_of_which_nothing_is_said_is_called_as_it_is(bench: Bench) -> None:
    app = App("team")

    @app.on("analysis.started")
    async def plain(event: Event[Any], context: Context) -> None:
        """Nothing is around it."""

    (handler,) = app.handlers
    layering = Layering(breakers=Breakers(), attempts=Attempts(RetrySchedule()))
    assert layering.around(handler) is handler


async def test_a_rehearsal_has_the_layers_of_a_team_and_no_breaker(
    bench: Bench, started: MakeEvent
) -> None:
    entered: list[str] = []

    def layer(function: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
        async def run(event: Any, context: Context) -> None:
            entered.append("layer")
            await function(event, context)

        return run

    app = App("team")

    @app.on("analysis.started", policies=(layer, Breaker("mailer", threshold=1), DeadLetter()))
    async def away(event: Event[Any], context: Context) -> None:
        raise ConnectionRefusedError

    rehearsal = Rehearsal("team", app.handlers[0], bench.factory)
    for _ in range(3):
        with pytest.raises(ConnectionRefusedError):
            await rehearsal.handle(started("a"))
    assert entered == ["layer"] * 3
