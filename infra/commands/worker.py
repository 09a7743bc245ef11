"""`wundr worker`: run one worker of an app, or of the platform, until SIGTERM."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from connectors.projection_service import StoredReads, projection_edges
from connectors.saga_service import saga_store
from connectors.settings import WRITER_ROLE
from connectors.sink_service import migrate_when_available
from infra.alert_webhook import alert_hooks
from infra.keys import open_keys
from infra.process_pages import HttpHost, HttpPort, note_of
from infra.settings import load_settings
from infra.signals import run_until_signalled
from infra.stack.local import absolute, require_endpoints
from infra.store_plan import store_plan
from infra.topics import topic_ids, topics_of
from infra.traces import open_tracing
from infra.written_files import made_folder, refuse_unwritable
from schemas.envelope import Priority
from schemas.key_ring import KeyRing
from streams.runtime.loading import load_app
from streams.sagas.store import SagaStore
from streams.settings import KafkaSettings
from streams.stall import STALL_AFTER_S
from streams.table_store import TableStore

if TYPE_CHECKING:
    from streams.app import App
    from streams.runtime.running import WorkerSettings

PLATFORM: Final = "platform"
WORKER_LINGER_MS: Final = 20
"""A worker sends several records for each that it reads: sharing requests saves much work."""

Target = Annotated[
    str, typer.Argument(metavar="APP|platform", help="Import path of the app, or `platform`.")
]
RunFile = Annotated[Path | None, typer.Option(help="Write the pid and the port of the pages here.")]
Journal = Annotated[
    Path | None, typer.Option(help="Append every event that was published and acknowledged.")
]
Rebuild = Annotated[
    bool, typer.Option("--rebuild-tables", help="Fold the archive anew into the tables it gets.")
]
Subscriptions = Annotated[
    list[str] | None, typer.Option(help="Only this subscription; may be given several times.")
]
Lanes = Annotated[
    str, typer.Option(help="Only these priorities, such as `critical,high`; not with tables.")
]
Instance = Annotated[
    str | None, typer.Option(help="A name of its own: back within 10 s it keeps its partitions.")
]
Store = Annotated[
    TableStore, typer.Option(help="Where tables are kept; on disk a start recovers less.")
]

RestartWhenStalled = Annotated[
    bool,
    typer.Option(
        "--restart-when-stalled",
        help="End with exit code 75 when a partition stands still, for a supervisor to restart.",
    ),
]
StallAfter = Annotated[
    float,
    typer.Option(
        "--stall-after",
        min=1,
        help="Seconds after which a partition that stands still is named; what its handler's "
        "TimeOut allows is waited for.",
    ),
]

app = typer.Typer(add_completion=False)


@app.command()
def worker(
    target: Target,
    run_file: RunFile = None,
    journal: Journal = None,
    http_host: HttpHost = "127.0.0.1",
    http_port: HttpPort = 0,
    subscription: Subscriptions = None,
    lanes: Lanes = "",
    instance: Instance = None,
    store: Store = TableStore.MEMORY,
    rebuild_tables: Rebuild = False,
    restart_when_stalled: RestartWhenStalled = False,
    stall_after: StallAfter = STALL_AFTER_S,
) -> None:
    """Join the app's groups and work until SIGTERM; it drains, commits and exits with 0.

    Example: wundr worker examples.analysis.app
    """
    from streams.runtime.running import WorkerSettings  # not for `--help`: Faust takes its time

    kafka, data_dir, keys = _places()
    settings = WorkerSettings(
        kafka=kafka,
        data_dir=data_dir,
        http_host=http_host,
        http_port=http_port,
        run_file=run_file,
        note=note_of(load_settings(), f"worker-{target}"),
        journal=journal,
        subscriptions=tuple(subscription or ()),
        lanes=_priorities(lanes),
        instance=instance,
        store=store,
        rebuilds_tables=rebuild_tables,
        keys=keys,
        restart_when_stalled=restart_when_stalled,
        stall_after_s=stall_after,
    )
    _run_watched(target, settings)


def _run_watched(target: str, settings: WorkerSettings) -> None:
    """With the hooks and traces that the settings of the process ask for."""
    for option, file in (("--run-file", settings.run_file), ("--journal", settings.journal)):
        if file is not None:
            made_folder(file.parent, option)
            refuse_unwritable(file, option)
    of_process = load_settings()
    settings = replace(settings, alert_hooks=alert_hooks(of_process))
    with open_tracing(of_process, f"wundr-worker-{target}") as tracing:
        _run(target, replace(settings, tracing=tracing))


def _run(target: str, settings: WorkerSettings) -> None:
    from streams.runtime.errors import WorkerStalled

    try:
        _run_until_signalled(target, settings)
    except WorkerStalled as error:
        sys.stderr.write(f"wundr: {error.message}\n  next:  {error.remedy}\n")
        raise typer.Exit(error.exit_code) from error


def _run_until_signalled(target: str, settings: WorkerSettings) -> None:
    from streams.runtime.worker import run_platform_worker

    if target == PLATFORM:
        with topics_of(None):
            run_until_signalled(lambda stop: run_platform_worker(settings, stop))
        return
    team_app = load_app(target)
    with topics_of(target):
        _run_team_worker(team_app, settings)


def _run_team_worker(team_app: App, settings: WorkerSettings) -> None:
    from streams.runtime.worker import run_app_worker

    settings = replace(settings, log_ids=_log_ids(team_app, settings))
    reads = StoredReads(team_app, partial(projection_edges, store_plan("wundr-reads")))

    async def run(stop: asyncio.Event) -> None:
        async with aclosing(reads), _sagas(team_app, stop) as sagas:
            await run_app_worker(team_app, settings, stop, reads, sagas)

    run_until_signalled(run)


@asynccontextmanager
async def _sagas(team_app: App, stop: asyncio.Event) -> AsyncIterator[SagaStore | None]:
    """Where the courses of the app's sagas are kept; None for an app without sagas.

    Waits until PostgreSQL has the tables.
    """
    if not team_app.sagas:
        yield None
        return
    plan = store_plan("wundr-sagas", WRITER_ROLE)
    await migrate_when_available(plan.postgres, stop)
    async with saga_store(plan) as store:
        yield store


def _log_ids(team_app: App, settings: WorkerSettings) -> Mapping[str, str]:
    """The ids of the changelogs, which files on disk outlive."""
    changelogs = list(team_app.workload().changelogs().values())
    if settings.store is TableStore.MEMORY or not changelogs:
        return {}
    return topic_ids(settings.kafka.bootstrap, changelogs)


def _places() -> tuple[KafkaSettings, Path, KeyRing | None]:
    """Where Kafka is, where a worker may keep its files, and what opens personal data."""
    settings = load_settings()
    endpoints = require_endpoints(settings)
    kafka = KafkaSettings(
        bootstrap=endpoints.kafka_bootstrap,
        partitions=settings.partitions,
        linger_ms=WORKER_LINGER_MS,
    )
    return kafka, absolute(settings.state_dir) / "faust", open_keys(settings, endpoints)


def _priorities(lanes: str) -> frozenset[Priority]:
    try:
        named = [Priority.from_label(label.strip()) for label in lanes.split(",") if label.strip()]
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--lanes") from error
    return frozenset(named or Priority)
