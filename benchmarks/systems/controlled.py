"""Runs an app as `wundr worker` does while something else watches it and says when to end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from benchmarks.contract import RunConfig
from benchmarks.systems.worker import PARTITIONS
from infra.commands.worker import WORKER_LINGER_MS
from infra.logs import configure_logging
from infra.signals import run_until_signalled
from infra.topics import apply, plan
from streams.app import App
from streams.runtime.running import WorkerSettings
from streams.runtime.worker import run_app_worker
from streams.settings import KafkaSettings


def app_name(config: RunConfig) -> str:
    """The app whose main subscription is the run's group."""
    return config.group.removesuffix(".main")


def run_file(config: RunConfig) -> Path:
    """Where the worker says on which port its pages are."""
    return Path(config.folder) / "run.json"


def make_topics(app: App, config: RunConfig) -> None:
    """The app's own topics, unless they are there."""
    apply(config.bootstrap, plan(config.bootstrap, app.topic_specs(PARTITIONS)))


def run_controlled(app: App, config: RunConfig, control: Callable[[], Awaitable[None]]) -> None:
    """Work until `control` returns, then drain. Raises what either of the two raises."""
    configure_logging()
    make_topics(app, config)
    run_until_signalled(lambda _stop: _run(app, config, control))


async def _run(app: App, config: RunConfig, control: Callable[[], Awaitable[None]]) -> None:
    settings = WorkerSettings(
        kafka=KafkaSettings(
            bootstrap=config.bootstrap, partitions=PARTITIONS, linger_ms=WORKER_LINGER_MS
        ),
        data_dir=Path(config.folder) / "data",
        run_file=run_file(config),
    )
    stop = asyncio.Event()
    working = asyncio.create_task(run_app_worker(app, settings, stop))
    controlling = asyncio.ensure_future(control())
    await asyncio.wait({working, controlling}, return_when=asyncio.FIRST_COMPLETED)
    stop.set()
    if not controlling.done():
        controlling.cancel()
        await working
        raise RuntimeError("the worker has ended by itself")
    await working
    controlling.result()
