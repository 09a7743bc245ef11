"""Our worker with one projection: count and sum per aggregate, with its changelog."""

from __future__ import annotations

import asyncio
from typing import Any

from benchmarks.contract import Meter, RunConfig
from benchmarks.systems.worker import run_worker
from schemas.event import Event
from streams.app import App
from streams.projection import State


def main() -> None:
    """Measure and print."""
    config = RunConfig.from_arguments()
    done = asyncio.Event()
    meter = Meter(config.events, config.warm_up, on_done=done.set)
    app = App(config.group.removesuffix(".main"))
    handled = meter.handled

    @app.projection("files", on=["analysis.file.processed"], initial=new_total)
    def total(state: State, event: Event[Any]) -> State:
        lines = event.data.lines
        state["events"] += 1
        state["lines"] += lines
        aggregate = event.aggregate
        handled(event.type, aggregate.id if aggregate else "", lines)
        return state

    run_worker(app, config, done)
    meter.measurement().print()


def new_total() -> State:
    """Nothing was counted yet."""
    return {"events": 0, "lines": 0}


if __name__ == "__main__":
    main()
