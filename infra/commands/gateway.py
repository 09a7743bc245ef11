"""`wundr gateway`: serves browsers until it is told to stop."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass, field
from typing import Annotated

import structlog
import typer

from gateway.app import PAGES, create_app, serve
from gateway.settings import GatewaySettings
from infra.development_key import development_key
from infra.process_pages import HttpHost, HttpPort, pages_place
from infra.settings import load_settings
from infra.signals import run_until_signalled
from infra.stack.local import require_endpoints
from infra.topics import topic_ids
from schemas.topics import BROADCAST_TOPICS
from streams.kafka.reader import KafkaReader
from streams.pages import LOOPBACK, PagesPlace, served
from streams.settings import KafkaSettings

app = typer.Typer(add_completion=False)
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayPlan:
    """One gateway node: its own settings, its broker, the id of each broadcast topic, its pages."""

    gateway: GatewaySettings
    kafka: KafkaSettings
    epochs: dict[str, str]
    pages: PagesPlace = field(default_factory=PagesPlace)


@app.command()
def gateway(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")
    ] = None,
    origin: Annotated[
        list[str] | None, typer.Option(help="Origin whose pages may connect; may be repeated.")
    ] = None,
    development: Annotated[
        bool, typer.Option(help="Serve the live page and its token; on loopback only.")
    ] = False,
    http_port: HttpPort = 0,
    http_host: HttpHost = LOOPBACK,
) -> None:
    """Serve the broadcast topics to browsers until SIGTERM; prints its URL once it listens.

    Example: wundr gateway --development
    """
    settings = load_settings(gateway_port=port)
    endpoints = require_endpoints(settings)
    plan = GatewayPlan(
        gateway=GatewaySettings(
            jwt_secret=development_key(settings),
            host=host,
            port=settings.gateway_port,
            origins=tuple(origin or ()),
            development=development,
        ),
        kafka=KafkaSettings(
            bootstrap=endpoints.kafka_bootstrap,
            partitions=settings.partitions,
            client_id="wundr-gateway",
        ),
        epochs=dict(topic_ids(endpoints.kafka_bootstrap, BROADCAST_TOPICS)),
        pages=pages_place(settings, "gateway", http_port, http_host),
    )
    run_until_signalled(lambda stop: run_gateway(plan, stop))


async def run_gateway(plan: GatewayPlan, stop: asyncio.Event) -> None:
    """Run one gateway node until `stop` is set."""
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    ready.add_done_callback(_print_address)
    web_app = create_app(plan.gateway, KafkaReader(plan.kafka, BROADCAST_TOPICS), plan.epochs)
    async with served(web_app[PAGES], plan.pages) as url:
        log.info("gateway runs", live=f"{url}/live")
        await serve(plan.gateway, web_app, ready=ready, stop=stop)


def _print_address(ready: asyncio.Future[str]) -> None:
    if not ready.cancelled():
        sys.stdout.write(f"{ready.result()}\n")
        sys.stdout.flush()
