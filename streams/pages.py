"""What every process of the platform answers over HTTP: `/live`, `/ready`, `/metrics`.

`/live`: the process and its loop answer, and what they say of themselves. `/ready`: 200 when it can
do its work, else 503 with the reasons. `/metrics`: its numbers for Prometheus.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import orjson
from aiohttp import web

from streams.exposition import rendered
from streams.metrics import Metrics
from streams.readiness import Readiness

LOOPBACK: Final = "127.0.0.1"

Facts = Callable[[], Mapping[str, Any]]
"""What a part of the process says of itself: ids and counts, no addresses and no data."""


class Pages:
    """The pages of one process, to which its parts add checks, numbers and facts."""

    def __init__(self, live: Facts) -> None:
        self.readiness = Readiness()
        self.metrics = Metrics()
        self.metrics.add(self.readiness)
        self._live: list[Facts] = [live]

    def show(self, facts: Facts) -> None:
        """Show these on `/live`, too."""
        self._live.append(facts)

    def live(self) -> Mapping[str, Any]:
        """The content of `/live`; later parts win."""
        return {name: fact for facts in self._live for name, fact in facts().items()}

    def add_to(self, app: web.Application) -> None:
        """Add the three pages to an application."""
        app.router.add_get("/live", self._live_page)
        app.router.add_get("/ready", self._ready_page)
        app.router.add_get("/metrics", self._metrics_page)

    async def _live_page(self, _request: web.Request) -> web.Response:
        return json_page(self.live())

    async def _ready_page(self, _request: web.Request) -> web.Response:
        found = self.readiness.as_mapping()
        return json_page(found, status=200 if found["ready"] else 503)

    async def _metrics_page(self, request: web.Request) -> web.Response:
        samples = await self.metrics.scrape()
        page = rendered(samples, request.headers.get("Accept", ""))
        return web.Response(body=page.content, headers={"Content-Type": page.content_type})


@asynccontextmanager
async def served(pages: Pages, port: int, host: str = LOOPBACK) -> AsyncIterator[int]:
    """Serve the pages while the block runs; gives the port, a free one when 0 was asked for."""
    application = web.Application()
    pages.add_to(application)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def json_page(body: Mapping[str, Any], status: int = 200) -> web.Response:
    """An answer in JSON."""
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json")
