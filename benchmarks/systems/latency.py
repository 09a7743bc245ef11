"""Our worker between our publisher and a handler: from when an event is due to its handler."""

from __future__ import annotations

import sys

from benchmarks.contract import RunConfig
from benchmarks.latency_run import LatencyRun
from benchmarks.systems.controlled import app_name, run_controlled
from schemas.event import Event
from schemas.events.integration import IntegrationRepositorySynced
from streams.app import App
from streams.context import Context

SENDER = (sys.executable, "-m", "benchmarks.systems.latency_sender")


def main() -> None:
    """Measure and print."""
    config = RunConfig.from_arguments()
    run = LatencyRun(config, SENDER)
    app = App(app_name(config))
    take = run.arrivals.take

    @app.on(IntegrationRepositorySynced)
    async def on_synced(event: Event[IntegrationRepositorySynced], context: Context) -> None:
        aggregate = event.aggregate
        take(
            event.type,
            aggregate.id if aggregate else "",
            event.data.files,
            int(event.correlation_id or 0),
        )

    run_controlled(app, config, run.conduct)
    run.measurement().print()


if __name__ == "__main__":
    main()
