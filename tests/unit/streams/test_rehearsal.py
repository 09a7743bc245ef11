"""A handler on an event of history: the same ids as in a worker, and nothing is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from schemas.event import Event, EventFactory
from schemas.events.ui import UiDashboardOpened
from streams.app import App
from streams.context import BatchContext, Context
from streams.errors import HandlerReturned, HandlerTimedOut
from streams.handler import BatchHandler, Handler
from streams.memory.log import MemoryLog
from streams.memory.worker import MemoryWorker
from streams.publisher import event_record
from streams.rehearsal import Rehearsal
from tests.unit.streams.bench import Bench

MakeEvent = Callable[..., Event[Any]]


def opened(number: int) -> UiDashboardOpened:
    return UiDashboardOpened(project_id=f"p{number}", user_id=None)


def emitting() -> App:
    app = App("team")

    @app.on("analysis.started", can_handle=lambda event: event.data.analysis_id != "declined")
    async def one(event: Event[Any], context: Context) -> None:
        for number in range(2):
            await context.publish(opened(number))

    @app.on("analysis.started", batch=True)
    async def many(events: Sequence[Event[Any]], context: BatchContext) -> None:
        for event in events:
            await context.publish(opened(9), cause=event)

    return app


def rehearsal(handler: Handler | BatchHandler, factory: EventFactory) -> Rehearsal:
    return Rehearsal("team", handler, factory)


def rehearsals(app: App, factory: EventFactory) -> list[Rehearsal]:
    """One for each handler of an app."""
    single = [rehearsal(handler, factory) for handler in app.handlers]
    return [*single, *(rehearsal(handler, factory) for handler in app.batch_handlers)]


async def test_a_rehearsal_emits_what_a_worker_has_emitted(
    bench: Bench, started: MakeEvent, factory: EventFactory
) -> None:
    app, event = emitting(), started("a1")
    log: MemoryLog = bench.log
    log.append(event_record(event, bench.codec.encode(event)))
    await MemoryWorker(app, log, bench.catalog).run_until_idle()
    sent = {
        bench.codec.view(record.value or b"").id
        for topic in bench.catalog.topics_for(["ui.*"])
        for record in log.topic(topic)
    }
    rehearsed = [
        emitted.id for trying in rehearsals(app, factory) for emitted in await trying.handle(event)
    ]
    assert len(rehearsed) == 3
    assert set(rehearsed) == sent


async def test_the_id_of_any_emitted_event_is_known_beforehand(
    started: MakeEvent, factory: EventFactory
) -> None:
    event = started("a1")
    trying = rehearsal(emitting().handlers[0], factory)
    emitted = await trying.handle(event)
    assert [it.id for it in emitted] == [trying.emitted_id(event, number) for number in range(2)]


def test_what_a_worker_would_not_deliver_is_not_taken(
    started: MakeEvent, factory: EventFactory
) -> None:
    trying = rehearsal(emitting().handlers[0], factory)
    assert trying.takes(started("a1"))
    assert not trying.takes(started("declined"))
    assert not trying.takes(factory.create(opened(1)))


async def test_a_handler_that_waits_for_ever_is_ended_and_may_emit_nothing_more(
    started: MakeEvent, factory: EventFactory
) -> None:
    app, kept = App("team"), []

    @app.on("analysis.started", deadline_s=0.01)
    async def hang(event: Event[Any], context: Context) -> None:
        kept.append(context)
        await asyncio.Event().wait()

    with pytest.raises(HandlerTimedOut):
        await rehearsal(app.handlers[0], factory).handle(started("a1"))
    with pytest.raises(HandlerReturned):
        await kept[0].publish(opened(1))
