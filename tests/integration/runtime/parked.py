"""An app that fails until it is healed, in a process of its own, which may die at a given point."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
from enum import StrEnum
from itertools import count
from pathlib import Path
from typing import Any

from infra.signals import run_until_signalled
from schemas.event import Event
from schemas.events.domain import AnalysisFileProcessed
from streams.context import Context
from streams.parking.lot import ParkingLot
from streams.parking.redoing import Redoing
from streams.policies import DeadLetter, Retry
from streams.runtime.running import WorkerSettings
from streams.runtime.worker import run_app_worker
from streams.settings import KafkaSettings
from tests.integration.runtime.tally import POISON, OneTopicApp


class Point(StrEnum):
    """Where a process may die."""

    KEPT = "kept"
    """A letter is acknowledged, and its event's offset is not committed."""

    TRIED = "tried"
    """What waited was handled once more, and nothing of that is written down."""

    SETTLED = "settled"
    """That is written down, and the order about it is still there."""


def parked_app(name: str, healed: Path, handled: Path) -> OneTopicApp:
    """Notes path and number of each event that it has handled; those of POISON fail at first."""
    app = OneTopicApp(name)

    @app.on(AnalysisFileProcessed, policies=(Retry(tries=3, first_delay_s=0.1), DeadLetter()))
    async def note(event: Event[AnalysisFileProcessed], context: Context) -> None:
        if event.data.error == POISON and not healed.exists():  # noqa: ASYNC240  # a test's switch
            raise ValueError("cannot be handled yet")
        with handled.open("a") as file:  # a short line
            file.write(f"{event.data.path} {event.data.lines}\n")

    return app


def die_at(point: Point, times: int) -> None:
    """End this process as by kill -9 when it comes to a point for the so-manieth time."""
    passed = count(1)

    def reach() -> None:
        if next(passed) == times:
            os.kill(os.getpid(), signal.SIGKILL)

    if point is Point.KEPT:
        kept = ParkingLot._kept_first

        def keep(lot: ParkingLot, *arguments: Any) -> None:
            kept(lot, *arguments)
            reach()

        ParkingLot._kept_first = keep  # type: ignore[method-assign, assignment]  # only in this process
        return
    settle = Redoing._settle

    async def settled(redoing: Redoing, *arguments: Any) -> None:
        if point is Point.TRIED:
            reach()
        await settle(redoing, *arguments)
        if point is Point.SETTLED:
            reach()

    Redoing._settle = settled  # type: ignore[method-assign, assignment]  # only in this process


def main() -> None:
    """Run one worker until SIGTERM."""
    arguments = argparse.ArgumentParser()
    for name in ("bootstrap", "app", "healed", "folder"):
        arguments.add_argument(name)
    arguments.add_argument("--die-at", type=Point)
    arguments.add_argument("--times", type=int, default=1)
    given = arguments.parse_args()
    if given.die_at:
        die_at(given.die_at, given.times)
    folder = Path(given.folder)
    settings = WorkerSettings(
        kafka=KafkaSettings(bootstrap=given.bootstrap),
        data_dir=folder / "faust",
        run_file=folder / "run.json",
    )
    app = parked_app(given.app, Path(given.healed), folder.parent / "handled")

    async def run(stop: asyncio.Event) -> None:
        await run_app_worker(app, settings, stop)

    run_until_signalled(run)


if __name__ == "__main__":
    main()
