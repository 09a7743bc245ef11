"""Subscriptions: each has its own handlers, group, topics; which of them a worker runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from schemas.catalog import Catalog
from schemas.envelope import Priority
from schemas.event import Event
from streams.app import App
from streams.context import Context
from streams.runtime.errors import LanesNeedNoTables, NoSuchSubscription
from streams.runtime.running import Subscription, WorkerSettings
from streams.runtime.worker import run_app_worker
from streams.settings import KafkaSettings
from tests.unit.streams.bench import Bench

MakeEvent = Callable[..., Event[Any]]


async def ignore(event: Event[Any], context: Context) -> None:
    """A handler that does nothing."""


def mailing_app() -> App:
    app = App("team")
    app.on("analysis.*", name="watch")(ignore)
    app.on("notification.sent", name="mail", subscription="mailer", concurrency=8)(ignore)
    app.on("*", name="audit", subscription="audit")(ignore)
    app.projection("runs", on=("system.run.started",), initial=dict)(lambda state, _: state)
    return app


def test_each_subscription_has_its_own_handlers_and_group() -> None:
    app = mailing_app()
    assert app.subscriptions() == ("main", "audit", "mailer")
    mailer = app.workload("mailer")
    assert [handler.name for handler in mailer.handlers] == ["mail"]
    assert mailer.group == "team.mailer"
    assert mailer.concurrency == 8
    assert not mailer.projections
    assert app.workload().concurrency == 1
    assert app.workload().wants("system.run.started")
    assert not mailer.wants("analysis.started")


def test_an_app_whose_handlers_all_have_subscriptions_of_their_own_has_no_main() -> None:
    app = App("team")
    app.on("*", subscription="audit")(ignore)
    assert app.subscriptions() == ("audit",)


def test_a_subscription_reads_only_the_topics_of_its_types() -> None:
    topics = mailing_app().workload("mailer").event_topics(Catalog.load())
    assert topics == ("events.domain.normal",)


async def test_a_handler_that_hangs_is_cancelled_tried_again_and_buried(
    bench: Bench, started: MakeEvent
) -> None:
    app = App("team")
    cancelled: list[str] = []
    handled: list[str] = []

    @app.on("analysis.started", deadline_s=0.01)
    async def hang(event: Event[Any], context: Context) -> None:
        if event.data.analysis_id != "bad":
            handled.append(event.data.analysis_id)
            return
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.append(event.data.analysis_id)

    records = [bench.record(started(name), offset) for offset, name in enumerate(("bad", "good"))]
    await bench.processor(app).process(records[0].source, records)
    assert (cancelled, handled) == (["bad"], ["good"])
    await bench.redo()
    assert cancelled == ["bad"] * 3
    (letter,) = bench.log.topic("dlq.team")
    assert letter.value == records[0].value
    assert b"HandlerTimedOut" in (letter.header("wundr_last_error") or b"")


def test_lanes_are_the_topics_of_some_priorities() -> None:
    subscription = Subscription(
        app="team", name="main", topics=("events.domain.low", "events.system.critical")
    )
    assert subscription.topics_of(frozenset({Priority.CRITICAL})) == ["events.system.critical"]


def test_lanes_are_refused_for_a_subscription_with_tables() -> None:
    subscription = Subscription(
        app="team", name="main", topics=("events.domain.low",), tables={"runs": "changelog"}
    )
    with pytest.raises(LanesNeedNoTables, match=r"team\.main has the tables runs"):
        subscription.topics_of(frozenset({Priority.LOW}))


async def test_a_worker_refuses_a_subscription_that_the_app_does_not_have(tmp_path: Path) -> None:
    settings = WorkerSettings(
        kafka=KafkaSettings(bootstrap="127.0.0.1:1"),
        data_dir=tmp_path,
        subscriptions=("mialer",),
    )
    with pytest.raises(NoSuchSubscription, match="'mialer', only main, audit, mailer"):
        await run_app_worker(mailing_app(), settings, asyncio.Event())
