"""`wundr sink`: writes the event store's topic to PostgreSQL until it is told to stop."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Annotated

import structlog
import typer

from connectors.live import live_page
from connectors.settings import WRITER_ROLE, PostgresSettings
from connectors.sink_service import SinkPlan, migrate_when_available, store_sink
from infra.settings import load_settings
from infra.signals import run_until_signalled
from infra.stack.local import require_endpoints
from infra.topics import topic_ids
from infra.traces import open_tracing
from schemas.catalog import Catalog
from schemas.topics import STORE_EVENTS
from streams.runtime.collecting import collect_garbage_less_often
from streams.settings import KafkaSettings

app = typer.Typer(add_completion=False)
log = structlog.get_logger(__name__)


@app.command()
def sink(
    live_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of /live on loopback; 0 takes a free one.")
    ] = 0,
) -> None:
    """Store every archived event once. SIGTERM finishes the batch in work, then ends.

    Example: wundr sink --live-port 8081
    """
    settings = load_settings()
    endpoints = require_endpoints(settings)
    plan = SinkPlan(
        kafka=KafkaSettings(
            bootstrap=endpoints.kafka_bootstrap,
            partitions=settings.partitions,
            client_id="wundr-sink",
        ),
        postgres=PostgresSettings(
            dsn=endpoints.postgres_dsn, role=WRITER_ROLE if settings.postgres_roles else None
        ),
        topic_id=topic_ids(endpoints.kafka_bootstrap, [STORE_EVENTS])[STORE_EVENTS],
        catalog=Catalog.load(),
    )
    with open_tracing(settings, "wundr-sink") as tracing:
        traced = replace(plan, tracing=tracing)
        run_until_signalled(lambda stop: run_sink(traced, live_port, stop))


async def run_sink(plan: SinkPlan, live_port: int, stop: asyncio.Event) -> None:
    """Run one sink with its live page until `stop`."""
    collect_garbage_less_often()
    await migrate_when_available(plan.postgres, stop)
    async with (
        store_sink(plan) as running,
        live_page(running.status.as_mapping, live_port) as port,
    ):
        log.info("sink runs", live=f"http://127.0.0.1:{port}/live")
        await running.run(stop)
        log.info("sink drained", stored=running.status.stored)
