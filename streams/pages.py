"""What every process of the platform answers over HTTP: `/live`, `/ready`, `/metrics`.

`/live`: the process and its loop answer, and what they say of themselves. `/ready`: 200 when it can
do its work, else 503 with the reasons. `/metrics`: its numbers for Prometheus.
"""

import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson
from aiohttp import web

from streams.errors import PagesNotServed
from streams.exposition import rendered
from streams.metrics import Metrics
from streams.readiness import Readiness

LOOPBACK: Final = "127.0.0.1"

Facts = Callable[[], Mapping[str, Any]]
"""What a part of the process says of itself: ids and counts, no addresses and no data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PagesPlace:
    """Where pages answer: port 0 takes a free one. `note` is a file that tells it meanwhile."""

    port: int = 0
    host: str = LOOPBACK
    note: Path | None = None


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
        status = 200 if found["ready"] else 503
        return json_page({"pid": os.getpid(), **found}, status=status)

    async def _metrics_page(self, request: web.Request) -> web.Response:
        samples = await self.metrics.scrape()
        page = rendered(samples, request.headers.get("Accept", ""))
        return web.Response(body=page.content, headers={"Content-Type": page.content_type})


@asynccontextmanager
async def served(pages: Pages, place: PagesPlace) -> AsyncIterator[str]:
    """Serve the pages while the block runs; gives their address. Raises PagesNotServed."""
    application = web.Application()
    pages.add_to(application)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        port = await listening(runner, place.port, place.host)
        with noted(place.note, place.host, port):
            yield f"http://{place.host}:{port}"
    finally:
        await runner.cleanup()


async def listening(runner: web.AppRunner, port: int, host: str) -> int:
    """Listen; returns the port. Raises PagesNotServed."""
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        raise PagesNotServed(f"{host}:{port}: {error.strerror}") from error
    bound: int = runner.addresses[0][1]
    return bound


@contextmanager
def noted(file: Path | None, host: str, port: int) -> Iterator[None]:
    """Tell in a file where the pages are, for as long as the block runs."""
    if file is None:
        yield
        return
    note(file, host, port)
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def note(file: Path, host: str, port: int) -> None:
    """Appears whole or not at all: who waits for it may read it as soon as it is there."""
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_suffix(".unfinished")
    unfinished.write_bytes(orjson.dumps({"pid": os.getpid(), "port": port, "host": host}))
    unfinished.replace(file)


def json_page(body: Mapping[str, Any], status: int = 200) -> web.Response:
    """An answer in JSON."""
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json")
