"""Runs an app as `wundr worker` does, until all events are handled."""

from __future__ import annotations

import asyncio
from pathlib import Path

from benchmarks.contract import RunConfig
from infra.commands.worker import WORKER_LINGER_MS
from infra.logs import configure_logging
from infra.signals import run_until_signalled
from infra.topics import apply, plan
from streams.app import App
from streams.runtime.running import WorkerSettings
from streams.runtime.worker import run_app_worker
from streams.settings import KafkaSettings

PARTITIONS = 4


def run_worker(app: App, config: RunConfig, done: asyncio.Event) -> None:
    """Make the app's own topics, then work until `done`."""
    configure_logging()
    apply(config.bootstrap, plan(config.bootstrap, app.topic_specs(PARTITIONS)))
    settings = WorkerSettings(
        kafka=KafkaSettings(
            bootstrap=config.bootstrap, partitions=PARTITIONS, linger_ms=WORKER_LINGER_MS
        ),
        data_dir=Path(config.folder),
    )
    run_until_signalled(lambda _stop: run_app_worker(app, settings, done))
