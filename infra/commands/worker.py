"""`wundr worker`: run one worker of an app, or of the platform, until SIGTERM."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from infra.settings import load_settings
from infra.signals import run_until_signalled
from infra.stack.local import absolute, require_endpoints
from schemas.envelope import Priority
from streams.settings import KafkaSettings
from streams.table_store import TableStore

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
    subscription: Annotated[
        list[str] | None, typer.Option(help="Only this subscription; may be given several times.")
    ] = None,
    lanes: Annotated[
        str, typer.Option(help="Only these priorities, such as `critical,high`; not with tables.")
    ] = "",
    instance: Annotated[
        str | None,
        typer.Option(help="A name of its own: back within 10 s it keeps its partitions."),
    ] = None,
    store: Annotated[
        TableStore, typer.Option(help="Where tables are kept; on disk a start recovers less.")
    ] = TableStore.MEMORY,
) -> None:
    """Join the app's groups and work until SIGTERM; it drains, commits and exits with 0.

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
        subscriptions=tuple(subscription or ()),
        lanes=_priorities(lanes),
        instance=instance,
        store=store,
    )
    if target == PLATFORM:
        run_until_signalled(lambda stop: run_platform_worker(worker_settings, stop))
    else:
        team_app = load_app(target)
        run_until_signalled(lambda stop: run_app_worker(team_app, worker_settings, stop))


def _priorities(lanes: str) -> frozenset[Priority]:
    try:
        named = [Priority.from_label(label.strip()) for label in lanes.split(",") if label.strip()]
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--lanes") from error
    return frozenset(named or Priority)
