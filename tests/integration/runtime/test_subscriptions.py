"""Subscriptions on a real broker: apart from each other, and members that come back by name."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from schemas.event import Event
from schemas.events.domain import AnalysisFileProcessed
from schemas.headers import event_headers
from streams.context import Context
from streams.kafka.sender import KafkaSender
from streams.records import OutgoingRecord
from streams.runtime.running import WorkerSettings
from streams.runtime.worker import run_app_worker
from streams.settings import KafkaSettings
from tests.integration.runtime.conftest import Recorder, make_failure_topics, running_member, until
from tests.integration.runtime.tally import OneTopicApp
from tests.integration.runtime.team import CODEC, FACTORY, send_all
from tests.integration.runtime.test_offsets import committed

pytestmark = pytest.mark.kafka
MakeTopics = Callable[..., Awaitable[None]]

EVENTS = 40


def processed(topic: str, number: int) -> OutgoingRecord:
    data = AnalysisFileProcessed(
        analysis_id="a",
        project_id="p",
        path=str(number),
        lines=number,
        functions=0,
        classes=0,
        error=None,
    )
    event = FACTORY.create(data, aggregate_id=str(number))
    return OutgoingRecord(
        topic=topic,
        key=event.key.encode(),
        value=CODEC.encode(event),
        headers=event_headers(event),
    )


async def test_what_hangs_in_one_subscription_holds_up_no_other_of_the_same_worker(
    kafka: KafkaSettings, unique: str, make_topics: MakeTopics, sender: KafkaSender, tmp_path: Path
) -> None:
    app = OneTopicApp(unique)
    mailed: set[int] = set()
    counted: set[int] = set()
    is_sendable = asyncio.Event()

    @app.on(AnalysisFileProcessed, subscription="mailer", concurrency=8)
    async def mail(event: Event[AnalysisFileProcessed], context: Context) -> None:
        await is_sendable.wait()
        mailed.add(event.data.lines)

    @app.on(AnalysisFileProcessed)
    async def count(event: Event[AnalysisFileProcessed], context: Context) -> None:
        counted.add(event.data.lines)

    await make_topics(app.topic)
    await make_failure_topics(kafka, app.name)
    await send_all(sender, [processed(app.topic, number) for number in range(EVENTS)])
    stop = asyncio.Event()
    worker = asyncio.create_task(
        run_app_worker(app, WorkerSettings(kafka=kafka, data_dir=tmp_path), stop)
    )
    await until(lambda: counted == set(range(EVENTS)), "the other subscription is done")
    await until(
        lambda: sum(committed(kafka, f"{unique}.main").values()) == EVENTS, "main committed"
    )
    assert not mailed
    assert sum(committed(kafka, f"{unique}.mailer").values()) == 0
    is_sendable.set()
    await until(lambda: mailed == set(range(EVENTS)), "the slow one is done")
    stop.set()
    await worker
    assert sum(committed(kafka, f"{unique}.mailer").values()) == EVENTS


async def test_a_member_that_comes_back_under_its_name_gets_its_partitions_without_a_rebalance(
    kafka: KafkaSettings, unique: str, make_topics: MakeTopics, tmp_path: Path
) -> None:
    group = f"{unique}.main"
    await make_topics(unique)

    async with running_member(
        kafka, group, [unique], Recorder(), tmp_path / "b", instance="b"
    ) as stays:
        async with running_member(
            kafka, group, [unique], Recorder(), tmp_path / "a", instance="a"
        ) as leaves:
            await until(lambda: 0 < len(leaves.assigned()) < 4, "the partitions are shared")
            await until(lambda: 0 < len(stays.assigned()) < 4, "the partitions are shared")
            before = leaves.assigned()
            generation = stays.generation
        async with running_member(
            kafka, group, [unique], Recorder(), tmp_path / "a", instance="a"
        ) as returns:
            await until(lambda: returns.is_ready, "it is back")
            assert returns.assigned() == before
            assert stays.generation == generation
