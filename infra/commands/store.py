"""`wundr store`: look at aggregates; prove that Kafka and PostgreSQL agree; rebuild PostgreSQL."""

from __future__ import annotations

import asyncio
import json
import sys
from functools import partial
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from connectors.audit import AuditReport, Kind
from connectors.audit_service import AuditPlan, store_audit
from connectors.postgres.migrations import migrate
from connectors.restore_service import RestorePlan, store_restore
from connectors.settings import READER_ROLE, WRITER_ROLE, PostgresSettings
from connectors.store_restore import RestoreReport
from infra.commands.store_forget import forget
from infra.commands.store_show import show
from infra.settings import load_settings
from infra.stack.local import require_endpoints
from infra.topics import partition_counts, topic_ids
from infra.work_progress import work_progress
from schemas.catalog import Catalog
from schemas.topics import STORE_EVENTS
from streams.runtime.collecting import collect_garbage_less_often
from streams.settings import KafkaSettings

app = typer.Typer(add_completion=False, no_args_is_help=True)

_MEANING: Final = {
    Kind.HOLE: "events missing on one side",
    Kind.DUPLICATE: "two under one id or version",
    Kind.DISORDER: "versions out of order",
    Kind.VERSION_GAP: "versions that no event has",
    Kind.COLUMN: "rows whose columns are not what their bytes say",
}


@app.callback()
def store() -> None:
    """The event store in PostgreSQL."""


app.command()(show)
app.command()(forget)


@app.command()
def audit(
    wait: Annotated[
        float, typer.Option(min=0, help="Seconds to wait for what is in flight at the beginning.")
    ] = 10.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON line.")] = False,
) -> None:
    """Compare Kafka with PostgreSQL and with the projections, while they work.

    Exit code 1 when anything is missing, twice, out of order or ahead of what the log holds.

    Example: wundr store audit --json
    """
    report = asyncio.run(_audit(_audit_plan(wait)))
    if as_json:
        sys.stdout.write(json.dumps(report.as_mapping()) + "\n")
    else:
        _show(report)
    if not report.agrees:
        raise typer.Exit(1)


@app.command()
def restore(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON line.")] = False,
) -> None:
    """Rebuild PostgreSQL from the topic store.events, beside whatever it holds already.

    Nothing is removed. A restore that was ended goes on where it stopped, by the same command.
    Events that were appended and not relayed exist in PostgreSQL alone, no restore brings them
    back: while some wait in the outbox, nothing is done.

    Example: wundr store restore && wundr store audit
    """
    report = asyncio.run(_restore(_restore_plan()))
    if as_json:
        sys.stdout.write(json.dumps(report.as_mapping()) + "\n")
    else:
        show_restored(report)


def show_restored(report: RestoreReport) -> None:
    """Tell what a restore has done, and what is to be done next."""
    console = Console()
    console.print(f"{report.stored:,} events restored, {report.known:,} were there already")
    if report.refused:
        console.print(f"{report.refused:,} records could not be stored, the first of them:")
    for refused in report.named:
        record = refused.record
        place = f"{record.topic}/{record.partition}/{record.offset}"
        console.print(f"  {place}: {refused.error.message}", soft_wrap=True)
    for projection in sorted(report.to_rebuild):
        name = projection.partition("/")[2]
        console.print(
            f"projection {projection} had passed some of them and lacks them: "
            f"wundr projections rebuild {name}",
            soft_wrap=True,
        )
    console.print("Prove it with: wundr store audit")


async def _restore(plan: RestorePlan) -> RestoreReport:
    await migrate(plan.postgres)
    collect_garbage_less_often()
    with work_progress("records") as progress:
        show = partial(progress, "restoring PostgreSQL")
        async with store_restore(plan, show) as running:
            return await running.run()


def _restore_plan() -> RestorePlan:
    settings = load_settings()
    endpoints = require_endpoints(settings)
    bootstrap = endpoints.kafka_bootstrap
    return RestorePlan(
        kafka=KafkaSettings(
            bootstrap=bootstrap, partitions=settings.partitions, client_id="wundr-restore"
        ),
        postgres=PostgresSettings(
            dsn=endpoints.postgres_dsn, role=WRITER_ROLE if settings.postgres_roles else None
        ),
        topic_id=topic_ids(bootstrap, [STORE_EVENTS])[STORE_EVENTS],
        catalog=Catalog.load(),
    )


async def _audit(plan: AuditPlan) -> AuditReport:
    collect_garbage_less_often()
    with work_progress("records") as progress:
        async with store_audit(plan, progress) as running:
            return await running.run()


def _audit_plan(patience_s: float) -> AuditPlan:
    settings = load_settings()
    endpoints = require_endpoints(settings)
    bootstrap = endpoints.kafka_bootstrap
    return AuditPlan(
        kafka=KafkaSettings(
            bootstrap=bootstrap, partitions=settings.partitions, client_id="wundr-audit"
        ),
        # Whole tables are streamed: a bound for one statement would cut them off.
        postgres=PostgresSettings(
            dsn=endpoints.postgres_dsn,
            statement_timeout_s=0,
            role=READER_ROLE if settings.postgres_roles else None,
        ),
        topic_id=topic_ids(bootstrap, [STORE_EVENTS])[STORE_EVENTS],
        catalog=Catalog.load(),
        partitions=partition_counts(bootstrap),
        patience_s=patience_s,
    )


def _show(report: AuditReport) -> None:
    console = Console()
    findings = report.findings
    table = Table(box=None, show_header=False)
    table.add_column(justify="right")
    table.add_column()
    table.add_row(f"{findings.events:,}", "events in Kafka and PostgreSQL")
    if findings.in_flight:
        table.add_row(f"{findings.in_flight:,}", "of them in flight between the two")
    for kind in Kind:
        table.add_row(f"{findings.counts[kind]:,}", _MEANING[kind])
    table.add_row(f"{findings.sampled:,}", "rows were examined for that")
    for it in report.projections:
        wrong = [] if it.agrees else [f"{it.ahead} ahead of the log", f"{it.missing} not folded"]
        table.add_row("", f"projection {it.name}: {', '.join(wrong) or 'agrees'}")
    console.print(table)
    for anomaly in findings.named:
        console.print(
            f"  {anomaly.kind.value}: {anomaly.subject}: {anomaly.detail}", soft_wrap=True
        )
    outcome = "they agree" if report.agrees else "they do not agree"
    console.print(f"{outcome}, {report.seconds:.1f} s")
