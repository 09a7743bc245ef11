"""An app that needs a mailer, in a process of its own; see `tally` for how it is started."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from pathlib import Path

from infra.signals import run_until_signalled
from schemas.event import Event
from schemas.events.domain import AnalysisFileProcessed
from streams.context import Context
from streams.policies import Breaker, DeadLetter, Retry, TimeOut
from streams.runtime.errors import WorkerStalled
from streams.runtime.feed import Feed
from streams.runtime.running import WorkerSettings
from streams.runtime.worker import run_app_worker
from streams.settings import KafkaSettings
from tests.integration.runtime.tally import OneTopicApp

HANG = "hang"
BLOCK = "block"


def mailing_app(name: str, port: int, folder: Path) -> OneTopicApp:
    """Mails each file to a server at a port; beside it notes each file in the file `noted`."""
    app = OneTopicApp(name)
    mailer = Breaker("mailer", threshold=5)

    @app.on(
        AnalysisFileProcessed,
        subscription="mailer",
        policies=(TimeOut(5), Retry(tries=3), mailer, DeadLetter()),
    )
    async def mail(event: Event[AnalysisFileProcessed], context: Context) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(f"{event.id}\n".encode())
            if await reader.readline() != b"ok\n":
                raise ConnectionResetError("the mailer hung up")
        finally:
            writer.close()

    @app.on(AnalysisFileProcessed, policies=(Retry(), DeadLetter()))
    async def note(event: Event[AnalysisFileProcessed], context: Context) -> None:
        if event.data.error == HANG:
            await asyncio.Event().wait()
        if event.data.error == BLOCK:
            while True:
                time.sleep(0.1)  # noqa: ASYNC251  # that is what is tested
        with (folder / "noted").open("a") as file:  # a short line
            file.write(f"{event.data.path}\n")

    return app


def stop_reading_silently() -> None:
    """Every task that reads ends when it has begun, as by a stray cancellation."""

    async def read(feed: Feed, *arguments: object) -> None:
        raise asyncio.CancelledError

    Feed._read = read  # type: ignore[method-assign, assignment]  # only in this process


def main() -> None:
    """Run one worker until SIGTERM, or until it stands still."""
    arguments = argparse.ArgumentParser()
    for name in ("bootstrap", "app", "healed", "folder"):
        arguments.add_argument(name)
    arguments.add_argument("--port", type=int, default=1)
    arguments.add_argument("--stall-after-s", type=float, default=20)
    arguments.add_argument("--restart-when-stalled", action="store_true")
    arguments.add_argument("--stop-reading", action="store_true")
    given = arguments.parse_args()
    if given.stop_reading:
        stop_reading_silently()
    folder = Path(given.folder)
    settings = WorkerSettings(
        kafka=KafkaSettings(bootstrap=given.bootstrap),
        data_dir=folder / "faust",
        run_file=folder / "run.json",
        stall_after_s=given.stall_after_s,
        restart_when_stalled=given.restart_when_stalled,
    )
    app = mailing_app(given.app, given.port, folder)

    async def run(stop: asyncio.Event) -> None:
        await run_app_worker(app, settings, stop)

    try:
        run_until_signalled(run)
    except WorkerStalled as error:
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
