"""One gateway node as an aiohttp application over a reader of the broadcast topics."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from functools import partial

import structlog
from aiohttp import web

from gateway.emit_spans import EmitSpans
from gateway.errors import AddressTaken, BroadcastReadStopped
from gateway.feed import BroadcastFeed
from gateway.guard import Guard, Handler, add_security_headers
from gateway.pages import add_pages
from gateway.server import Admissions, GatewayServer
from gateway.settings import GatewaySettings
from streams.log import RecordReader

_LOG = structlog.get_logger(__name__)
READING: web.AppKey[asyncio.Task[None]] = web.AppKey("reading", asyncio.Task)
"""The task that reads the broadcasts; it ends only when the gateway cannot go on."""


def create_app(
    settings: GatewaySettings,
    reader: RecordReader,
    epochs: Mapping[str, str],
    spans: EmitSpans | None = None,
) -> web.Application:
    """The application; `epochs` maps each broadcast topic to its Kafka topic id.

    `spans` are of what reaches browsers, where the node is traced.

    Its start-up reads the retained past: it raises HistoryUnavailable, BrokerUnavailable.
    """
    feed = BroadcastFeed(settings, reader, epochs, spans)
    admissions = Admissions(settings, feed)
    server = GatewayServer(settings, admissions)
    guard = Guard(settings)

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        return await guard.check(request, handler)

    async def dismiss(_app: web.Application) -> None:
        await admissions.close()
        await server.shutdown()

    app = web.Application(middlewares=[check])
    app.cleanup_ctx.append(partial(_reading, feed))
    app.on_shutdown.append(dismiss)
    app.on_response_prepare.append(add_security_headers)
    _add_live(app, feed, admissions)
    add_pages(app, settings)
    server.attach(app)
    return app


async def _reading(feed: BroadcastFeed, app: web.Application) -> AsyncIterator[None]:
    """Keep the log filled for as long as the application runs."""
    await feed.load()
    app[READING] = asyncio.create_task(feed.follow(), name="broadcast-feed")
    yield
    app[READING].cancel()
    await asyncio.gather(app[READING], return_exceptions=True)
    await feed.close()


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


def _add_live(app: web.Application, feed: BroadcastFeed, admissions: Admissions) -> None:
    async def live(request: web.Request) -> web.Response:
        return web.json_response(
            _health(feed, admissions), status=503 if request.app[READING].done() else 200
        )

    app.router.add_get("/live", live)


def _health(feed: BroadcastFeed, admissions: Admissions) -> dict[str, object]:
    sessions = admissions.sessions.values()
    return {
        "clients": len(sessions),
        "sent": sum(session.sent for session in sessions),
        "queued": sum(session.connection.queue.qsize() for session in sessions),
        "held": len(feed.log),
        "held_bytes": feed.log.size_bytes,
        "repeats_dropped": feed.log.repeats_dropped,
        "unreadable": feed.unreadable,
        "end": {str(source): log.end for source, log in feed.log.partitions.items()},
    }
