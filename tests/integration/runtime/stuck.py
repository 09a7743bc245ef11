"""One handler that gets stuck, in a stock Faust worker or in ours, as a process of its own.

Event 0 is never finished before the file `released` exists; every other event is at once.
"""

from __future__ import annotations

import argparse
import asyncio
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import faust

from infra.signals import run_until_signalled
from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.event import Event
from schemas.events.domain import AnalysisFileProcessed
from streams.context import Context
from streams.runtime.running import WorkerSettings
from streams.runtime.worker import run_app_worker
from streams.settings import KafkaSettings
from tests.integration.runtime.tally import OneTopicApp

STUCK = 0
"""The number of the event that does not finish."""

SESSION_S = 6.0
"""After which a killed worker's partitions are given away; Faust's own default is a minute."""


class Runtime(StrEnum):
    """Who runs the handler."""

    STOCK_FAUST = "stock-faust"
    OURS = "ours"


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What the handler does, and its traces."""

    folder: Path

    @property
    def released(self) -> Path:
        """Lets the stuck event finish when it exists."""
        return self.folder / "released"

    async def handle(self, number: int) -> None:
        """Note the start, get stuck or not, note the end."""
        self._note("started", number)
        if number == STUCK and not self.released.exists():
            await asyncio.Event().wait()
        self._note("finished", number)

    def noted(self, what: str) -> set[int]:
        """The numbers of the events that were started, or finished, over all runs."""
        file = self.folder / what
        return {int(line) for line in file.read_text().split()} if file.exists() else set()

    def _note(self, what: str, number: int) -> None:
        with (self.folder / what).open("a") as file:
            file.write(f"{number}\n")


def run_stock_faust(bootstrap: str, name: str, topic: str, work: Work) -> None:
    """An agent with `concurrency=2`, as Faust's guide shows it, on raw values."""
    app = faust.App(
        name,
        broker=f"kafka://{bootstrap}",
        value_serializer="raw",
        web_enabled=False,
        topic_disable_leader=True,
        datadir=str(work.folder),
        broker_session_timeout=SESSION_S,
        broker_heartbeat_interval=SESSION_S / 3,
    )
    codec = Codec(Catalog.load())

    async def agent(values: faust.StreamT[bytes]) -> None:
        async for value in values:
            await work.handle(codec.view(value).data.lines)

    app.agent(app.topic(topic, value_type=bytes), concurrency=2)(agent)
    faust.Worker(app, loglevel="INFO").execute_from_commandline()


def run_ours(bootstrap: str, name: str, topic: str, work: Work) -> None:
    """The same handler in an app of this platform."""
    app = OneTopicApp(name)
    app.topic = topic

    @app.on(AnalysisFileProcessed)
    async def handle(event: Event[AnalysisFileProcessed], context: Context) -> None:
        await work.handle(event.data.lines)

    settings = WorkerSettings(
        kafka=KafkaSettings(bootstrap=bootstrap), data_dir=work.folder / "data"
    )

    async def run(stop: asyncio.Event) -> None:
        await run_app_worker(app, settings, stop)

    run_until_signalled(run)


def main() -> None:
    """Run one worker until it is ended."""
    arguments = argparse.ArgumentParser()
    for name in ("runtime", "bootstrap", "name", "topic", "folder"):
        arguments.add_argument(name)
    given = arguments.parse_args()
    run = run_stock_faust if given.runtime == Runtime.STOCK_FAUST else run_ours
    run(given.bootstrap, given.name, given.topic, Work(folder=Path(given.folder)))


if __name__ == "__main__":
    main()
