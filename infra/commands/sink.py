"""`wundr sink`: writes the event store's topic to PostgreSQL until it is told to stop."""

from __future__ import annotations

import asyncio

import structlog
import typer

from connectors.settings import WRITER_ROLE, PostgresSettings
from connectors.sink_service import SinkPlan, migrate_when_available, store_sink
from connectors.status_pages import sink_pages
from infra.process_pages import HttpHost, HttpPort, pages_place
from infra.settings import load_settings
from infra.signals import run_until_signalled
from infra.stack.local import require_endpoints
from infra.topics import topic_ids
from schemas.catalog import Catalog
from schemas.topics import STORE_EVENTS
from streams.pages import LOOPBACK, PagesPlace, served
from streams.runtime.collecting import collect_garbage_less_often
from streams.settings import KafkaSettings

app = typer.Typer(add_completion=False)
log = structlog.get_logger(__name__)


@app.command()
def sink(
    http_port: HttpPort = 0,
    http_host: HttpHost = LOOPBACK,
) -> None:
    """Store every archived event once. SIGTERM finishes the batch in work, then ends.

    Example: wundr sink --http-port 8081
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
    place = pages_place(settings, "sink", http_port, http_host)
    run_until_signalled(lambda stop: run_sink(plan, place, stop))


async def run_sink(plan: SinkPlan, place: PagesPlace, stop: asyncio.Event) -> None:
    """Run one sink with its pages until `stop`."""
    collect_garbage_less_often()
    await migrate_when_available(plan.postgres, stop)
    async with (
        store_sink(plan) as running,
        served(sink_pages(running), place) as url,
    ):
        log.info("sink runs", live=f"{url}/live")
        await running.run(stop)
        log.info("sink drained", stored=running.status.stored)
