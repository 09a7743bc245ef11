"""Stock Faust agents beside the lanes: same process, same group, their own delivery."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from schemas.event import Event
from schemas.events.domain import AnalysisFileProcessed
from streams.context import Context
from streams.kafka.sender import KafkaSender
from streams.records import OutgoingRecord
from streams.runtime.running import WorkerSettings
from streams.runtime.worker import run_app_worker
from streams.settings import KafkaSettings
from tests.integration.runtime.conftest import until
from tests.integration.runtime.tally import OneTopicApp
from tests.integration.runtime.team import send_all
from tests.integration.runtime.test_offsets import committed
from tests.integration.runtime.test_subscriptions import processed

pytestmark = pytest.mark.kafka
MakeTopics = Callable[..., Awaitable[None]]

EVENTS = 200


async def test_a_stock_agent_and_a_handler_share_a_group_and_both_commit(
    kafka: KafkaSettings, unique: str, make_topics: MakeTopics, sender: KafkaSender, tmp_path: Path
) -> None:
    app = OneTopicApp(unique)
    legacy = f"{unique}-legacy"
    handled: set[int] = set()
    by_stock: set[int] = set()

    @app.on(AnalysisFileProcessed)
    async def handle(event: Event[AnalysisFileProcessed], context: Context) -> None:
        handled.add(event.data.lines)

    @app.faust
    def agents(faust_app: Any) -> None:
        topic = faust_app.topic(legacy, value_type=bytes, value_serializer="raw")

        async def agent(values: Any) -> None:
            async for value in values:
                by_stock.add(int(value))

        faust_app.agent(topic, name="legacy")(agent)

    await make_topics(app.topic, legacy)
    await send_all(sender, [processed(app.topic, number) for number in range(EVENTS)])
    await send_all(
        sender,
        [
            OutgoingRecord(topic=legacy, key=b"k", value=str(number).encode(), partition=number % 4)
            for number in range(EVENTS)
        ],
    )
    stop = asyncio.Event()
    worker = asyncio.create_task(
        run_app_worker(app, WorkerSettings(kafka=kafka, data_dir=tmp_path), stop)
    )
    await until(lambda: handled == by_stock == set(range(EVENTS)), "both have seen all")
    stop.set()
    await worker
    offsets = committed(kafka, f"{unique}.main")
    assert sum(offsets.values()) > 0
    again: set[int] = set(by_stock)
    by_stock.clear()
    handled.clear()
    stop = asyncio.Event()
    await send_all(sender, [processed(app.topic, EVENTS)])
    worker = asyncio.create_task(
        run_app_worker(app, WorkerSettings(kafka=kafka, data_dir=tmp_path), stop)
    )
    await until(lambda: handled == {EVENTS}, "only the new one is handled after a restart")
    stop.set()
    await worker
    assert by_stock < again, "the stock agent goes on where it has committed"
