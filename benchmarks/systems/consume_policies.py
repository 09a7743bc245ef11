"""Our worker with one handler that has every policy around it."""

from __future__ import annotations

import asyncio
from typing import Any

from benchmarks.contract import Meter, RunConfig
from benchmarks.systems.worker import run_worker
from schemas.event import Event
from streams.app import App
from streams.context import Context
from streams.policies import Breaker, DeadLetter, Deduplicate, Retry, TimeOut, Trace

POLICIES = (Deduplicate(), TimeOut(10), Retry(), Breaker("nothing"), DeadLetter(), Trace())


def main() -> None:
    """Measure and print."""
    config = RunConfig.from_arguments()
    done = asyncio.Event()
    meter = Meter(config.events, config.warm_up, on_done=done.set)
    app = App(config.group.removesuffix(".main"))
    handled = meter.handled

    @app.on("analysis.file.processed", policies=POLICIES)
    async def on_file(event: Event[Any], _context: Context) -> None:
        aggregate = event.aggregate
        handled(event.type, aggregate.id if aggregate else "", event.data.lines)

    run_worker(app, config, done)
    meter.measurement().print()


if __name__ == "__main__":
    main()
