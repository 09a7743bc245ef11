"""`wundr worker`: run one worker of an app, or of the platform, until SIGTERM."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from infra.settings import load_settings
from infra.signals import run_until_signalled
from infra.stack.local import absolute, require_endpoints
from streams.settings import KafkaSettings

PLATFORM: Final = "platform"
WORKER_LINGER_MS: Final = 20
"""A worker sends several records for each that it reads: sharing requests saves much work."""

app = typer.Typer(add_completion=False)


@app.command()
def worker(
    target: Annotated[
        str, typer.Argument(metavar="APP|platform", help="Import path of the app, or `platform`.")
    ],
    run_file: Annotated[
        Path | None, typer.Option(help="Write the pid and the port of the pages here.")
    ] = None,
    journal: Annotated[
        Path | None, typer.Option(help="Append every event that was published and acknowledged.")
    ] = None,
    http_port: Annotated[int, typer.Option(help="Port of the pages; 0 takes a free one.")] = 0,
) -> None:
    """Join the app's group and work until SIGTERM; it drains, commits and exits with 0.

    Example: wundr worker examples.analysis.app
    """
    # Faust takes half a second to import: `wundr worker --help` must not wait for it.
    from streams.runtime.loading import load_app
    from streams.runtime.running import WorkerSettings
    from streams.runtime.worker import run_app_worker, run_platform_worker

    settings = load_settings()
    endpoints = require_endpoints(settings)
    worker_settings = WorkerSettings(
        kafka=KafkaSettings(
            bootstrap=endpoints.kafka_bootstrap,
            partitions=settings.partitions,
            linger_ms=WORKER_LINGER_MS,
        ),
        data_dir=absolute(settings.state_dir) / "faust",
        http_port=http_port,
        run_file=run_file,
        journal=journal,
    )
    if target == PLATFORM:
        run_until_signalled(lambda stop: run_platform_worker(worker_settings, stop))
    else:
        team_app = load_app(target)
        run_until_signalled(lambda stop: run_app_worker(team_app, worker_settings, stop))
