"""`wundr store audit`: prove that Kafka, PostgreSQL and the projections agree."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from connectors.audit import AuditReport, Kind
from connectors.audit_service import AuditPlan, store_audit
from connectors.settings import READER_ROLE, PostgresSettings
from infra.settings import load_settings
from infra.stack.local import require_endpoints
from infra.topics import partition_counts, topic_ids
from infra.work_progress import work_progress
from schemas.catalog import Catalog
from schemas.topics import STORE_EVENTS
from streams.settings import KafkaSettings

_MEANING: Final = {
    Kind.HOLE: "events missing on one side",
    Kind.DUPLICATE: "two under one id or version",
    Kind.DISORDER: "versions out of order",
    Kind.VERSION_GAP: "versions that no event has",
}


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


async def _audit(plan: AuditPlan) -> AuditReport:
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
