"""What is given up for concurrency, order, nobody else relies on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from schemas.event import Event
from schemas.events.domain import NotificationSent
from streams.app import App
from streams.context import Context
from streams.errors import InvalidHandler
from streams.projection import Entry, State
from streams.table import MemoryTable
from tests.unit.streams.bench import Bench

MakeEvent = Callable[..., Event[Any]]


def count(state: State, event: Event[Any]) -> State:
    return {"count": state.get("count", 0) + 1}


async def ignore(event: Event[Any], context: Context) -> None:
    """A handler that does nothing."""


async def test_events_that_were_emitted_out_of_order_are_all_counted(
    bench: Bench, started: MakeEvent
) -> None:
    emitting, counting = App("emitting"), App("counting")

    @emitting.on("analysis.started", concurrency=2)
    async def notify(event: Event[Any], context: Context) -> None:
        sent = NotificationSent(
            notification_id=event.id, project_id="p", user_id=None, subject="started"
        )
        await context.publish(sent, aggregate_id="always the same")

    counting.projection("counted", on=("notification.sent",), initial=dict)(count)
    slow, quick = bench.record(started("slow"), 0), bench.record(started("quick"), 1)
    emitter = bench.processor(emitting)
    await emitter.process(quick.source, [quick])
    await emitter.process(slow.source, [slow])
    await emitter.process(slow.source, [slow])
    sent = bench.log.topic("events.domain.normal")
    table = MemoryTable("changelog")
    await bench.processor(counting, {"counted": table}).process(sent[0].source, sent)
    assert len(sent) == 3
    assert [Entry.decode(value).state for _, value in table.items()] == [{"count": 2}]


def test_projections_are_refused_where_their_events_would_come_out_of_order() -> None:
    app = App("team")
    app.on("analysis.*", concurrency=8)(ignore)
    app.projection("counted", on=("analysis.*",), initial=dict)(count)
    with pytest.raises(InvalidHandler, match="a subscription of their own"):
        app.workload()
