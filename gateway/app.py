"""One gateway node as an aiohttp application over a reader of the broadcast topics."""

import asyncio
from collections.abc import AsyncIterator, Mapping

import structlog
from aiohttp import web

from gateway.errors import AddressTaken, BroadcastReadStopped
from gateway.feed import BroadcastFeed
from gateway.guard import Guard, Handler, add_security_headers
from gateway.metrics import GatewayNumbers
from gateway.node_pages import node_pages
from gateway.pages import add_pages
from gateway.server import Admissions, GatewayServer
from gateway.settings import GatewaySettings
from streams.log import RecordReader
from streams.pages import Pages

_LOG = structlog.get_logger(__name__)
READING: web.AppKey[asyncio.Task[None]] = web.AppKey("reading", asyncio.Task)
"""The task that reads the broadcasts; it ends only when the gateway cannot go on."""
PAGES: web.AppKey[Pages] = web.AppKey("pages", Pages)
"""What operators ask, numbers included; to be served where browsers do not come."""


def create_app(
    settings: GatewaySettings, reader: RecordReader, epochs: Mapping[str, str]
) -> web.Application:
    """The application; `epochs` maps each broadcast topic to its Kafka topic id.

    Its start-up reads the retained past: it raises HistoryUnavailable, BrokerUnavailable.
    """
    feed = BroadcastFeed(settings, reader, epochs)
    numbers = GatewayNumbers()
    admissions = Admissions(settings, feed, numbers)
    server = GatewayServer(settings, admissions)
    guard = Guard(settings, numbers)

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        return await guard.check(request, handler)

    async def reading(app: web.Application) -> AsyncIterator[None]:
        await feed.load()
        app[READING] = asyncio.create_task(feed.follow(), name="broadcast-feed")
        yield
        app[READING].cancel()
        await asyncio.gather(app[READING], return_exceptions=True)
        await feed.close()

    async def dismiss(_app: web.Application) -> None:
        await admissions.close()
        await server.shutdown()

    app = web.Application(middlewares=[check])
    app.cleanup_ctx.append(reading)
    app.on_shutdown.append(dismiss)
    app.on_response_prepare.append(add_security_headers)
    app[PAGES] = node_pages(feed, admissions, lambda: _not_reading(app))
    _add_public_pages(app, app[PAGES])
    add_pages(app, settings)
    server.attach(app)
    return app


async def serve(
    settings: GatewaySettings,
    app: web.Application,
    *,
    ready: asyncio.Future[str],
    stop: asyncio.Event,
) -> None:
    """Listen until `stop` is set; `ready` gets the URL.

    Raises AddressTaken, BroadcastReadStopped, and what the application's start-up raises.
    """
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=2.0)
    await runner.setup()
    try:
        ready.set_result(await _listen(settings, runner))
        await _until_stopped(app[READING], stop)
    finally:
        await runner.cleanup()


async def _listen(settings: GatewaySettings, runner: web.AppRunner) -> str:
    site = web.TCPSite(runner, settings.host, settings.port)
    try:
        await site.start()
    except OSError as error:
        raise AddressTaken(f"{settings.host}:{settings.port}: {error.strerror}") from error
    host, port, *_ = runner.addresses[0]
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    _LOG.info("listening", url=url)
    return url


async def _until_stopped(reading: asyncio.Task[None], stop: asyncio.Event) -> None:
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({reading, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if reading.done():
        raise BroadcastReadStopped from reading.exception()


def _add_public_pages(app: web.Application, pages: Pages) -> None:
    """What a load balancer asks where browsers connect; the numbers are not for them."""

    async def live(request: web.Request) -> web.Response:
        return web.json_response(pages.live(), status=503 if request.app[READING].done() else 200)

    async def ready(_request: web.Request) -> web.Response:
        is_ready = not pages.readiness.failing()
        return web.json_response({"ready": is_ready}, status=200 if is_ready else 503)

    app.router.add_get("/live", live)
    app.router.add_get("/ready", ready)


def _not_reading(app: web.Application) -> str | None:
    if READING not in app:
        return "the retained past is being read"
    return "reading has ended" if app[READING].done() else None
