"""`wundr store restore`: rebuild PostgreSQL from the topic of the event store."""

from __future__ import annotations

import asyncio
import json
import sys
from functools import partial
from typing import Annotated

import typer
from rich.console import Console

from connectors.postgres.migrations import migrate
from connectors.restore_service import RestorePlan, store_restore
from connectors.settings import WRITER_ROLE, PostgresSettings
from connectors.store_restore import RestoreReport
from infra.settings import load_settings
from infra.stack.local import require_endpoints
from infra.topics import topic_ids
from infra.work_progress import work_progress
from schemas.catalog import Catalog
from schemas.topics import STORE_EVENTS
from streams.settings import KafkaSettings


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
        facts = {"stored": report.stored, "known": report.known, "refused": report.refused}
        sys.stdout.write(json.dumps(facts) + "\n")
        return
    console = Console()
    console.print(f"{report.stored:,} events restored, {report.known:,} were there already")
    if report.refused:
        console.print(f"{report.refused:,} records could not be stored, the first of them:")
    for refused in report.named:
        record = refused.record
        place = f"{record.topic}/{record.partition}/{record.offset}"
        console.print(f"  {place}: {refused.error.message}", soft_wrap=True)
    console.print("Prove it with: wundr store audit")


async def _restore(plan: RestorePlan) -> RestoreReport:
    await migrate(plan.postgres)
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
