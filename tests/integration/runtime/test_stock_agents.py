"""Stock Faust agents beside the lanes: same process, same group, their own delivery."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from schemas.event import Event
from schemas.events.domain import AnalysisFileProcessed
from streams.context import Context
from streams.kafka.offsets import committed_offsets
from streams.kafka.sender import KafkaSender
from streams.records import OutgoingRecord
from streams.runtime.running import WorkerSettings
from streams.runtime.worker import run_app_worker
from streams.settings import KafkaSettings
from tests.integration.runtime.conftest import make_failure_topics, until
from tests.integration.runtime.tally import OneTopicApp
from tests.integration.runtime.team import send_all
from tests.integration.runtime.test_subscriptions import processed

pytestmark = pytest.mark.kafka
MakeTopics = Callable[..., Awaitable[None]]

EVENTS = 200


class Seen:
    """An app with a handler and a stock agent, and what both have seen."""

    def __init__(self, name: str) -> None:
        self.app = OneTopicApp(name)
        self.legacy = f"{name}-legacy"
        self.handled: set[int] = set()
        self.by_stock: set[int] = set()
        self.app.on(AnalysisFileProcessed)(self.handle)
        self.app.faust(self.agents)

    async def handle(self, event: Event[AnalysisFileProcessed], context: Context) -> None:
        self.handled.add(event.data.lines)

    def agents(self, faust_app: Any) -> None:
        async def agent(values: Any) -> None:
            async for value in values:
                self.by_stock.add(int(value))

        topic = faust_app.topic(self.legacy, value_type=bytes, value_serializer="raw")
        faust_app.agent(topic, name="legacy")(agent)


@asynccontextmanager
async def running(app: OneTopicApp, settings: WorkerSettings) -> AsyncIterator[None]:
    """A worker that is asked to stop at the end of the block."""
    stop = asyncio.Event()
    worker = asyncio.create_task(run_app_worker(app, settings, stop))
    yield
    stop.set()
    await worker


async def until_committed(kafka: KafkaSettings, group: str, topic: str) -> None:
    """Wait for a commit of the group in the topic: Faust commits from time to time."""
    async with asyncio.timeout(30):
        while not any(  # noqa: ASYNC110  # it becomes true in the broker
            at.topic == topic for at in await committed_offsets(kafka, group)
        ):
            await asyncio.sleep(0.1)


async def test_a_stock_agent_and_a_handler_share_a_group_and_both_commit(
    kafka: KafkaSettings, unique: str, make_topics: MakeTopics, sender: KafkaSender, tmp_path: Path
) -> None:
    seen, settings = Seen(unique), WorkerSettings(kafka=kafka, data_dir=tmp_path)
    await make_topics(seen.app.topic, seen.legacy)
    await make_failure_topics(kafka, seen.app.name)
    plain = [
        OutgoingRecord(topic=seen.legacy, key=b"k", value=b"%d" % number, partition=number % 4)
        for number in range(EVENTS)
    ]
    await send_all(sender, [processed(seen.app.topic, number) for number in range(EVENTS)])
    await send_all(sender, plain)
    async with running(seen.app, settings):
        await until(
            lambda: seen.handled == seen.by_stock == set(range(EVENTS)), "both have seen all"
        )
        await until_committed(kafka, f"{seen.app.name}.main", seen.legacy)
    again = Seen(unique)
    await send_all(sender, [processed(seen.app.topic, EVENTS)])
    async with running(again.app, settings):
        await until(lambda: again.handled == {EVENTS}, "only the new one is handled again")
    assert again.by_stock < seen.by_stock, "the stock agent goes on where it has committed"
