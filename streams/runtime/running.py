"""Runs a subscription until it is told to stop or cannot go on; its pages answer all the while."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import orjson
import structlog

from streams.keyed_lane import KeyedLane
from streams.lane import Lanes, OpenLane
from streams.processor import Process
from streams.runtime.health import CountingProcess, live_page
from streams.runtime.http import LOOPBACK, WorkerPages
from streams.runtime.member import GroupMember
from streams.runtime.views import MemberTables
from streams.serial_lane import SerialLane
from streams.settings import KafkaSettings
from streams.turns import Pace, Turns

WATCH_S: Final = 0.2
"""How often a worker looks whether one of its parts has stopped."""

LEAVE_DEADLINE_S: Final = 10.0
"""How long a worker may drain and say goodbye before it ends all the same."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """Where a worker finds Kafka and leaves its traces. `http_port` 0 takes a free port."""

    kafka: KafkaSettings
    data_dir: Path
    http_port: int = 0
    run_file: Path | None = None
    journal: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """What a worker works on: the topics, the tables (changelog by name)."""

    app: str
    name: str
    topics: Sequence[str]
    tables: Mapping[str, str]
    concurrency: int = 1

    @property
    def group(self) -> str:
        """The consumer group."""
        return f"{self.app}.{self.name}"


async def run_subscription(
    subscription: Subscription,
    member: GroupMember,
    processor: Process,
    turns: Turns,
    settings: WorkerSettings,
    stop: asyncio.Event,
) -> None:
    """Join, work, drain, leave. Raises WorkerFailed when the worker cannot go on."""
    process = CountingProcess(processor)
    lanes = Lanes(_lanes_of(subscription, process, turns))
    member.read_into(lanes, subscription.topics)
    pages = WorkerPages(
        lambda: live_page(subscription.app, subscription.name, member, lanes, process),
        MemberTables(member),
    )
    port = await pages.start(settings.http_port)
    try:
        _write_run_file(settings.run_file, port)
        log.info("worker starting", group=subscription.group, url=f"http://{LOOPBACK}:{port}/live")
        await _until_stopped(member, stop)
        log.info("worker stopped", group=subscription.group, processed=process.processed)
    finally:
        await pages.close()


def _lanes_of(subscription: Subscription, process: Process, pace: Pace) -> OpenLane:
    if subscription.concurrency > 1:
        return partial(KeyedLane, process, pace, subscription.concurrency)
    return partial(SerialLane, process, pace)


async def _until_stopped(member: GroupMember, stop: asyncio.Event) -> None:
    """Run the member; it is drained and leaves its group in every case."""
    starting = asyncio.create_task(member.start(), name="group member")
    try:
        while not stop.is_set():
            if starting.done():
                starting.result()
            member.raise_failure()
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), WATCH_S)
    finally:
        await _leave(member)
        starting.cancel()
        await asyncio.wait({starting})


async def _leave(member: GroupMember) -> None:
    try:
        await asyncio.wait_for(member.stop(), LEAVE_DEADLINE_S)
    except TimeoutError:
        log.warning("the group was left without a goodbye", deadline_s=LEAVE_DEADLINE_S)


def _write_run_file(path: Path | None, port: int) -> None:
    """Appears whole or not at all: who waits for it may read it as soon as it is there."""
    if path is None:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_bytes(orjson.dumps({"pid": os.getpid(), "port": port}))
    unfinished.replace(path)
