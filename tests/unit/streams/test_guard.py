"""What the guard of a handler sees of a try that began while its breaker was calm."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from schemas.event import Event
from schemas.events.domain import AnalysisStarted
from streams.app import App
from streams.context import Context
from streams.policies import Breaker, DeadLetter, Policy, Retry
from tests.unit.streams.bench import Bench
from tests.unit.streams.test_breakers import MakeEvent, breakers_of, records_of, until

POLICY = Breaker("mailer", threshold=5)
POLICIES: tuple[Policy, ...] = (Retry(), POLICY, DeadLetter())


async def test_a_handler_that_finishes_although_it_was_cancelled_is_a_success(
    bench: Bench, started: MakeEvent
) -> None:
    app, reached, is_back = App("team"), asyncio.Event(), asyncio.Event()
    outages = [ConnectionRefusedError("mailer")]

    @app.on("analysis.started", policies=POLICIES)
    async def mail(event: Event[AnalysisStarted], context: Context) -> None:
        if event.data.analysis_id == "0-0":
            if outages:
                raise outages.pop()
            await is_back.wait()
        else:
            reached.set()
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()

    processor = bench.processor(app)
    breaker = breakers_of(processor).gate("mailer", POLICY).breaker
    first, second = records_of(bench, started, 2)
    stubborn = asyncio.create_task(processor.process(first.source, [second]))
    await reached.wait()
    other = asyncio.create_task(processor.process(first.source, [first]))
    await until(lambda: not breaker.is_calm)
    stubborn.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stubborn
    assert breaker.is_calm
    is_back.set()
    await other


@pytest.mark.parametrize("waits", [False, True])
async def test_an_outage_of_a_calm_try_is_counted_and_another_error_is_not(
    bench: Bench, started: MakeEvent, *, waits: bool
) -> None:
    app, errors = App("team"), [ValueError("no"), ConnectionRefusedError("mailer")]
    counted: list[bool] = []

    @app.on("analysis.started", policies=POLICIES)
    async def mail(event: Event[AnalysisStarted], context: Context) -> None:
        if waits:
            await asyncio.sleep(0)
        counted.append(not breaker.is_calm)
        if errors:
            raise errors.pop(0)

    processor = bench.processor(app)
    breaker = breakers_of(processor).gate("mailer", POLICY).breaker
    for record in records_of(bench, started, 2):
        await processor.process(record.source, [record])
    assert counted == [False, False, True]
    assert breaker.is_calm
