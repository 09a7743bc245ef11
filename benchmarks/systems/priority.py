"""Our worker with a handler for CRITICAL and one for LOW."""

from __future__ import annotations

from benchmarks.contract import RunConfig
from benchmarks.priority_run import PriorityRun
from benchmarks.systems.controlled import app_name, run_controlled
from schemas.event import Event
from schemas.events.domain import AnalysisFileProcessed
from schemas.events.system import SystemRunStarted
from streams.app import App
from streams.context import Context


def main() -> None:
    """Measure and print."""
    config = RunConfig.from_arguments()
    run = PriorityRun(config)
    app = App(app_name(config))
    take_low, take_critical = run.take_low, run.critical.take

    @app.on(AnalysisFileProcessed)
    async def on_file(event: Event[AnalysisFileProcessed], context: Context) -> None:
        aggregate = event.aggregate
        take_low(event.type, aggregate.id if aggregate else "", event.data.lines)

    @app.on(SystemRunStarted)
    async def on_run(event: Event[SystemRunStarted], context: Context) -> None:
        take_critical(event.type, "", event.data.files, int(event.correlation_id or 0))

    run_controlled(app, config, run.conduct)
    run.measurement().print()


if __name__ == "__main__":
    main()
