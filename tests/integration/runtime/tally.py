"""An app that counts, in a process of its own: `python -m tests.integration.runtime.tally ...`."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import timedelta
from pathlib import Path
from typing import Any

from infra.signals import run_until_signalled
from schemas.catalog import Catalog
from schemas.event import Event
from schemas.events.domain import AnalysisFileProcessed
from streams.app import MAIN, App
from streams.context import Context
from streams.entry_sending import Stretch
from streams.projecting import TableBatch
from streams.projection import State
from streams.runtime.running import WorkerSettings
from streams.runtime.worker import run_app_worker
from streams.settings import KafkaSettings
from streams.table_store import TableStore
from streams.windows import Windows
from streams.workload import Workload

POISON = "poison"
OUTAGE = "outage"
SECONDS = Windows(length=timedelta(seconds=1), grace=timedelta(milliseconds=500), keeps=1_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class OneTopicWorkload(Workload):
    """Reads one topic of its own instead of the installation's."""

    topic: str

    def event_topics(self, catalog: Catalog) -> tuple[str, ...]:
        """The topic of this test."""
        return (self.topic,)


class OneTopicApp(App):
    """An app all of whose events stand in one topic."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.topic = f"events-{name}"

    def workload(self, subscription: str = MAIN) -> Workload:
        """See App."""
        known = super().workload(subscription)
        return OneTopicWorkload(
            topic=self.topic, **{field.name: getattr(known, field.name) for field in fields(known)}
        )


def tally_app(name: str, healed: Path) -> OneTopicApp:
    """Counts per file and per project. An outage lasts until the file `healed` exists."""
    app = OneTopicApp(name)

    @app.on(AnalysisFileProcessed)
    async def look(event: Event[AnalysisFileProcessed], context: Context) -> None:
        if event.data.error == POISON:
            raise ValueError("cannot be handled")
        if event.data.error == OUTAGE and not healed.exists():  # noqa: ASYNC240  # a test's switch
            raise ConnectionError("something outside is away")

    def count(state: State, event: Event[Any]) -> State:
        return {
            "events": state.get("events", 0) + 1,
            "lines": state.get("lines", 0) + event.data.lines,
        }

    app.projection("per-file", on=("analysis.*",), initial=dict)(count)
    app.projection(
        "per-second",
        on=("analysis.*",),
        initial=SECONDS.initial,
        key=lambda event: event.data.project_id,
    )(SECONDS.of(count))
    app.projection(
        "per-project", on=("analysis.*",), initial=dict, key=lambda event: event.data.project_id
    )(count)
    return app


def kill_after_flush(batches: int) -> None:
    """End this process as by kill -9 when the changelog of a batch is acknowledged, nothing more.

    The batch's offsets are not committed then, and its entries are not stored.
    """
    store = TableBatch.store
    left = iter(range(batches, 0, -1))

    def store_or_die(batch: TableBatch, stretches: Iterable[Stretch] = ()) -> None:
        if next(left, 0) == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        store(batch, stretches)

    TableBatch.store = store_or_die  # type: ignore[method-assign, assignment]  # only in this process


def main() -> None:
    """Run one worker until SIGTERM."""
    arguments = argparse.ArgumentParser()
    for name in ("bootstrap", "app", "healed", "folder"):
        arguments.add_argument(name)
    arguments.add_argument("--die-after-flush", type=int, default=0)
    arguments.add_argument("--store", type=TableStore, default=TableStore.MEMORY)
    given = arguments.parse_args()
    if given.die_after_flush:
        kill_after_flush(given.die_after_flush)
    folder = Path(given.folder)
    settings = WorkerSettings(
        kafka=KafkaSettings(bootstrap=given.bootstrap),
        data_dir=folder / "faust",
        run_file=folder / "run.json",
        store=given.store,
    )
    app = tally_app(given.app, Path(given.healed))

    async def run(stop: asyncio.Event) -> None:
        await run_app_worker(app, settings, stop)

    run_until_signalled(run)


if __name__ == "__main__":
    main()
