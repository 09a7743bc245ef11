"""Catch-up subscriptions over a real sink, a real PostgreSQL and a real Kafka."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

from connectors.catch_up import CatchUpBatch
from connectors.catch_up_service import CatchUpPlan, catch_up
from connectors.errors import CheckpointMoved
from connectors.postgres.catch_up import PostgresCheckpoints
from connectors.postgres.database import Database
from connectors.postgres.migrations import migrate
from connectors.settings import PostgresSettings
from connectors.sink_service import SinkPlan, store_sink
from connectors.store_sink import StoreSink
from schemas.codec import Codec
from schemas.event import Event
from streams.settings import KafkaSettings
from tests.integration.connectors.conftest import CATALOG, PARTITIONS, Archive, eventually
from tests.unit.schemas.order_majors import NEWEST, OLDER, newest, order_majors, placed

pytestmark = [pytest.mark.kafka, pytest.mark.postgres]

ROOT = Path(__file__).parents[3]
Files = Callable[[int], list[Event[Any]]]


@asynccontextmanager
async def running(plan: SinkPlan) -> AsyncIterator[StoreSink]:
    stop = asyncio.Event()
    async with store_sink(plan) as sink:
        task = asyncio.create_task(sink.run(stop))
        try:
            yield sink
        finally:
            stop.set()
            await task


def plan_of(archive: Archive, sink: SinkPlan) -> CatchUpPlan:
    return CatchUpPlan(
        kafka=KafkaSettings(bootstrap=archive.bootstrap, schema_wait_s=0.5),
        topic_id=sink.topic_id,
        topic=archive.settings.topic,
        partitions=range(PARTITIONS),
        catalog=CATALOG,
    )


def by_key(events: list[Event[Any]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for event in events:
        found.setdefault(event.key, []).append(event.id)
    return found


async def test_history_and_tail_give_every_event_once_and_in_order(
    archive: Archive, fresh_database: str, files: Files
) -> None:
    events = files(600)
    sink_plan = archive.plan(fresh_database)
    await migrate(sink_plan.postgres)
    await archive.put([*events[:200], events[7], b"no event"])
    async with running(sink_plan) as sink:
        await eventually(lambda: sink.status.stored >= 200)
    # The sink is down now: what comes next is in Kafka alone until it is back.
    await archive.put(events[200:300])
    found: list[Event[Any]] = []
    live: set[bool] = set()
    stop = asyncio.Event()
    async with (
        running(sink_plan),
        Database(sink_plan.postgres) as database,
        catch_up(plan_of(archive, sink_plan), database) as subscription,
        asyncio.timeout(60),
    ):
        async for batch in subscription.batches({}, stop):
            if not found:
                await archive.put(events[300:450])
            if len(found) < 450 <= len(found) + len(batch.events):
                await archive.put([events[3], *events[450:]])
            found += batch.events
            live.add(batch.is_live)
            if len(found) >= 600:
                stop.set()
    assert len(found) == 600
    assert by_key(found) == by_key(events)
    assert live == {True, False}


async def test_history_and_tail_are_upcast_and_what_is_stored_is_not(
    archive: Archive, fresh_database: str
) -> None:
    orders = order_majors()
    events = [placed(orders, number, (*OLDER, NEWEST)[number % 4]) for number in range(80)]
    values = [Codec(orders).encode(event) for event in events]
    sink_plan = replace(archive.plan(fresh_database), catalog=orders)
    await migrate(sink_plan.postgres)
    await archive.put(values[:40])
    async with running(sink_plan) as sink:
        await eventually(lambda: sink.status.stored == 40)
    with psycopg.connect(fresh_database) as connection:
        stored = connection.execute("SELECT event_id, schema_version, framed FROM events")
        assert set(stored) == {
            (event.id, event.version, value)
            for event, value in zip(events[:40], values, strict=False)
        }
    await archive.put(values[40:])
    found: dict[str, Event[Any]] = {}
    plan, stop = replace(plan_of(archive, sink_plan), catalog=orders), asyncio.Event()
    async with (
        Database(sink_plan.postgres) as database,
        catch_up(plan, database) as subscription,
        asyncio.timeout(60),
    ):
        async for batch in subscription.batches({}, stop):
            found |= {event.id: event for event in batch.events}
            if len(found) == len(events):
                stop.set()
    assert found == {event.id: newest(orders, event) for event in events}


@pytest.mark.slow
async def test_a_reader_that_is_killed_again_and_again_misses_and_repeats_nothing(
    archive: Archive, fresh_database: str, files: Files
) -> None:
    events = files(1_000)
    sink_plan = archive.plan(fresh_database)
    await migrate(sink_plan.postgres)
    with psycopg.connect(fresh_database, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE followed (partition int, event_id text, is_live boolean, "
            "at bigint GENERATED ALWAYS AS IDENTITY)"
        )
    async with running(sink_plan):
        for round_, begin in enumerate(range(0, 1_000, 200)):
            with follower(archive, sink_plan, fresh_database):
                await archive.put(events[begin : begin + 100])
                await eventually(partial(has_followed, fresh_database, begin + 50))
            await archive.put([*events[begin + 100 : begin + 200], events[round_]])
        with follower(archive, sink_plan, fresh_database):
            await eventually(partial(has_followed, fresh_database, 1_000))
    ids = followed(fresh_database)
    assert len(ids) == 1_000
    order = {event_id: at for at, event_id in enumerate(ids)}
    assert order.keys() == {event.id for event in events}
    for own in by_key(events).values():
        assert own == sorted(own, key=order.__getitem__)


@contextmanager
def follower(archive: Archive, sink_plan: SinkPlan, dsn: str) -> Iterator[None]:
    """A reader in a process of its own, killed at the end of the block."""
    asked = {
        "bootstrap": archive.bootstrap,
        "topic": archive.settings.topic,
        "topic_id": sink_plan.topic_id,
        "partitions": PARTITIONS,
        "dsn": dsn,
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.integration.connectors.following_process", json.dumps(asked)],
        cwd=ROOT,
    )
    try:
        yield
        assert process.poll() is None, "the reader ended by itself"
    finally:
        process.kill()
        process.wait()


def followed(dsn: str) -> list[str]:
    with psycopg.connect(dsn) as connection:
        rows = connection.execute("SELECT event_id FROM followed ORDER BY at").fetchall()
    return [row[0] for row in rows]


def has_followed(dsn: str, least: int) -> bool:
    return len(followed(dsn)) >= least


async def test_a_checkpoint_moves_on_from_where_it_was_left_alone(fresh_database: str) -> None:
    settings = PostgresSettings(dsn=fresh_database)
    await migrate(settings)

    def batch(previous: int, following: int, partition: int = 0) -> CatchUpBatch:
        return CatchUpBatch("kafka-1", partition, (), previous, following, is_live=False)

    async with Database(settings) as database:
        checkpoints = PostgresCheckpoints(database)
        assert await checkpoints.load("index", "kafka-1") == {}
        await checkpoints.save("index", batch(0, 5))
        await checkpoints.save("index", batch(0, 3, partition=1))
        await checkpoints.save("index", batch(5, 9))
        for stale in (batch(5, 9), batch(0, 4), batch(7, 8, partition=2)):
            with pytest.raises(CheckpointMoved, match="'index'"):
                await checkpoints.save("index", stale)
        assert await checkpoints.load("index", "kafka-1") == {0: 9, 1: 3}
        assert await checkpoints.load("index", "kafka-2") == {}
        assert await checkpoints.load("other", "kafka-1") == {}
