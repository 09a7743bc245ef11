"""One of the worker processes of the scale bench; says over and over how far it is.

It works until its standard input is closed.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any, Final

from benchmarks.contract import RunConfig
from benchmarks.progress import moment
from benchmarks.systems.controlled import app_name, run_controlled
from schemas.event import Event
from schemas.events.integration import IntegrationRepositorySynced
from streams.app import App
from streams.context import Context
from streams.projection import State

SAY_S: Final = 0.05


class Counted:
    """How many events were handled, and what they add up to."""

    __slots__ = ("events", "files")

    def __init__(self) -> None:
        self.events = 0
        self.files = 0

    def take(self, event_type: str, aggregate_id: str, number: int) -> None:
        """An event was handled, with what its handler has read of it."""
        self.files += number if event_type and aggregate_id else 0
        self.events += 1


def build(config: RunConfig, counted: Counted) -> App:
    """One handler, or one projection that counts and sums per aggregate."""
    app = App(app_name(config))
    take = counted.take

    if config.options["mode"] == "handler":

        @app.on(IntegrationRepositorySynced)
        async def on_synced(event: Event[IntegrationRepositorySynced], context: Context) -> None:
            aggregate = event.aggregate
            take(event.type, aggregate.id if aggregate else "", event.data.files)

    else:

        @app.projection("files", on=["integration.repository.synced"], initial=nothing_yet)
        def total(state: State, event: Event[Any]) -> State:
            files, aggregate = event.data.files, event.aggregate
            take(event.type, aggregate.id if aggregate else "", files)
            return {"events": state["events"] + 1, "files": state["files"] + files}

    return app


def nothing_yet() -> State:
    """Nothing was counted yet."""
    return {"events": 0, "files": 0}


def main() -> None:
    """Work and say."""
    config = RunConfig.from_arguments()
    counted = Counted()

    async def say() -> None:
        closed = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
        while not closed.done():
            sys.stdout.write(json.dumps(moment(counted.events)) + "\n")
            sys.stdout.flush()
            await asyncio.sleep(SAY_S)

    run_controlled(build(config, counted), config, say)


if __name__ == "__main__":
    main()
