"""Copies are left out whoever does the first of them, and nothing else is."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from schemas.envelope import Metadata
from schemas.event import Event
from schemas.topics import repartition_topic
from streams.app import App
from streams.context import Context
from streams.policies import DeadLetter, Deduplicate, Policy, Retry
from streams.records import ORIGIN, RawRecord, TopicPartition
from streams.table import MemoryTable
from tests.unit.streams.bench import Bench
from tests.unit.streams.parked import SOURCE, MakeEvent, Parked

POLICIES: tuple[Policy, ...] = (Deduplicate(10), Retry(), DeadLetter())


@pytest.fixture
def done() -> list[str]:
    """The names of the events that were handled."""
    return []


def named(bench: Bench, started: MakeEvent, name: str, offset: int) -> RawRecord:
    return bench.record(started(metadata=Metadata(user_id=name)), offset)


def noting(done: list[str], **options: Any) -> App:
    """An app whose handler notes what it has handled."""
    app = App("team")

    @app.on("analysis.*", policies=POLICIES, **options)
    async def notify(event: Event[Any], context: Context) -> None:
        done.append(str(event.metadata.user_id))

    return app


async def test_a_copy_behind_an_event_that_is_redone_meanwhile_is_left_out(
    parked: Parked,
) -> None:
    journal = parked.journal
    reached, gate = asyncio.Event(), asyncio.Event()

    @parked.app.on("analysis.*", policies=POLICIES)
    async def notify(event: Event[Any], context: Context) -> None:
        if event.metadata.user_id == "slow":
            reached.set()
            await gate.wait()
        await journal.handle(event, context)

    journal.failing = {"x"}
    first = parked.record("a", "x", 0)
    await parked.processor().process(SOURCE, [first])
    journal.failing.clear()
    processor = await parked.take_over()
    await processor.process(SOURCE, [parked.record("b", "before", 1)])
    given = [parked.record("c", "slow", 2), first._replace(offset=3)]
    work = asyncio.create_task(processor.process(SOURCE, given))
    await reached.wait()
    await parked.bench.redo()
    gate.set()
    await work
    assert journal.seen == ["before", "x", "slow"]


async def test_what_the_handler_has_refused_is_no_first(
    bench: Bench, started: MakeEvent, done: list[str]
) -> None:
    is_on = [False]
    app = noting(done, can_handle=lambda event: is_on[0])
    processor, record = bench.processor(app), named(bench, started, "x", 0)
    await processor.process(SOURCE, [record])
    is_on[0] = True
    await processor.process(SOURCE, [record._replace(offset=1)])
    await processor.process(SOURCE, [record._replace(offset=2)])
    assert done == ["x"]


async def test_what_the_handler_has_refused_takes_no_room_of_ids(
    bench: Bench, started: MakeEvent, done: list[str]
) -> None:
    app = noting(done, can_handle=lambda event: event.metadata.user_id == "x")
    processor, record = bench.processor(app), named(bench, started, "x", 0)
    others = [named(bench, started, "other", at) for at in range(1, 60)]
    for given in ([record], others, [record._replace(offset=60)]):
        await processor.process(SOURCE, given)
    assert done == ["x"]


async def test_what_was_rekeyed_for_a_projection_takes_no_room_of_ids(
    bench: Bench, started: MakeEvent, done: list[str]
) -> None:
    app = noting(done)
    app.projection("count", on=("analysis.*",), initial=dict, key=lambda event: "k")(
        lambda state, event: state
    )
    tables = {name: MemoryTable(it) for name, it in app.workload().changelogs().items()}
    processor, record = bench.processor(app, tables), named(bench, started, "x", 0)
    copies = TopicPartition(repartition_topic("team", "count"), 0)
    rekeyed = [
        it._replace(
            topic=copies.topic, headers=(*it.headers, (ORIGIN, b"events.x/0/%d" % it.offset))
        )
        for it in [named(bench, started, "other", at) for at in range(1, 60)]
    ]
    await processor.process(SOURCE, [record])
    await processor.process(copies, rekeyed)
    await processor.process(SOURCE, [record._replace(offset=60)])
    assert done == ["x"]


async def test_an_event_that_says_it_is_of_a_type_that_nobody_wants_is_not_counted(
    bench: Bench, started: MakeEvent, done: list[str]
) -> None:
    app = App("team")

    @app.on("analysis.started")
    async def notify(event: Event[Any], context: Context) -> None:
        done.append(event.type)

    processor, record = bench.processor(app), named(bench, started, "x", 0)
    value = (record.value or b"").replace(b"analysis.started", b"analysis.stopped")
    strange = record._replace(offset=1, headers=(), value=value)
    await processor.process(SOURCE, [record, strange])
    await processor.process(SOURCE, [strange])
    assert done == ["analysis.started"]
    assert processor.metrics.events_by_type() == {"analysis.started": 1}
