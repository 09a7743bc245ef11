"""`wundr relay`: sends appended events from the outbox to Kafka until it is told to stop."""

from __future__ import annotations

import asyncio
from typing import Annotated

import structlog
import typer

from connectors.outbox import SHARDS
from connectors.outbox_relay import RelaySettings
from connectors.relay_service import RelayPlan, outbox_relay
from connectors.settings import PostgresSettings
from connectors.sink_service import migrate_when_available
from connectors.status_pages import relay_pages
from infra.process_pages import HttpHost, HttpPort, pages_place
from infra.settings import load_settings
from infra.signals import run_until_signalled
from infra.stack.local import require_endpoints
from schemas.catalog import Catalog
from streams.pages import LOOPBACK, PagesPlace, served
from streams.settings import KafkaSettings

app = typer.Typer(add_completion=False)
log = structlog.get_logger(__name__)


@app.command()
def relay(
    shard: Annotated[
        list[int] | None,
        typer.Option(
            min=0, max=SHARDS - 1, help="Only this shard of the outbox; may be given several times."
        ),
    ] = None,
    http_port: HttpPort = 0,
    http_host: HttpHost = LOOPBACK,
) -> None:
    """Send appended events in order; a second relay stands by. SIGTERM finishes what is in work.

    Example: wundr relay --http-port 8082
    """
    settings = load_settings()
    endpoints = require_endpoints(settings)
    plan = RelayPlan(
        kafka=KafkaSettings(
            bootstrap=endpoints.kafka_bootstrap,
            partitions=settings.partitions,
            client_id="wundr-relay",
        ),
        postgres=PostgresSettings(dsn=endpoints.postgres_dsn),
        catalog=Catalog.load(),
        relay=RelaySettings(shards=tuple(sorted(set(shard or range(SHARDS))))),
    )
    place = pages_place(settings, "relay", http_port, http_host)
    run_until_signalled(lambda stop: run_relay(plan, place, stop))


async def run_relay(plan: RelayPlan, place: PagesPlace, stop: asyncio.Event) -> None:
    """Run one relay with its pages until `stop`."""
    await migrate_when_available(plan.postgres, stop)
    async with (
        outbox_relay(plan) as running,
        served(relay_pages(running), place) as url,
    ):
        log.info("relay runs", live=f"{url}/live")
        await running.run(stop)
        log.info("relay drained", sent=running.status.sent)
