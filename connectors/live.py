"""A `/live` page on a loopback port: whether a process works or waits, as JSON."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from aiohttp import web

LOOPBACK: Final = "127.0.0.1"


@asynccontextmanager
async def live_page(status: Callable[[], Mapping[str, Any]], port: int) -> AsyncIterator[int]:
    """Serve the status while the block runs; gives the port, a free one when 0 was asked for."""

    async def answer(_request: web.Request) -> web.Response:
        return web.json_response(status())

    application = web.Application()
    application.router.add_get("/live", answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, LOOPBACK, port)
        await site.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
