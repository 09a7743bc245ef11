"""Pages of a worker, all read only.

`/live`, `/ready`, `/tables/NAME`, `/tables/NAME/KEY`, `/api/projections/NAME/KEY`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

import orjson
from aiohttp import web

from streams.projection import Entry
from streams.runtime.projection_pages import NothingStored, ProjectionPages, StoredProjections
from streams.table import StoredEntry

LOOPBACK: Final = "127.0.0.1"


class TableView(Protocol):
    """What the pages ask of the worker's tables."""

    @property
    def is_ready(self) -> bool:
        """Whether the tables are recovered."""
        ...

    def names(self) -> tuple[str, ...]:
        """All tables of the app."""
        ...

    def owns(self, name: str, key: str) -> bool:
        """Whether the key's partition is assigned to this worker."""
        ...

    def find(self, name: str, key: str) -> StoredEntry | None:
        """One entry."""
        ...

    def owner(self, name: str, key: str) -> str | None:
        """The address of the worker that owns the key; None while nobody does."""
        ...

    def entries(self, name: str) -> Iterator[StoredEntry]:
        """The entries of all partitions that this worker owns."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What the worker says of itself; `ready` with the status of its page."""

    live: Callable[[], Mapping[str, Any]]
    ready: Callable[[], tuple[int, Mapping[str, Any]]]


class WorkerPages:
    """The HTTP server of one worker."""

    def __init__(
        self,
        health: Health,
        tables: TableView,
        stored: StoredProjections | None = None,
    ) -> None:
        """`stored`: where projections are read that are kept in a database."""
        self._health = health
        self._tables = tables
        self._projections = ProjectionPages(tables, stored or NothingStored())
        self._runner: web.AppRunner | None = None

    async def start(self, port: int, host: str = LOOPBACK) -> int:
        """Listen; returns the port, a free one where 0 is asked for."""
        app = web.Application()
        app.router.add_get("/live", self._live_page)
        app.router.add_get("/ready", self._ready_page)
        app.router.add_get("/tables/{name}", self._table_page)
        app.router.add_get("/tables/{name}/{key:.+}", self._entry_page)
        app.router.add_get("/api/projections/{name}/{key:.+}", self._projections.answer)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        bound: int = self._runner.addresses[0][1]
        return bound

    async def close(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()
        await self._projections.close()

    async def _live_page(self, request: web.Request) -> web.Response:
        return _json(self._health.live())

    async def _ready_page(self, request: web.Request) -> web.Response:
        status, body = self._health.ready()
        return _json(body, status)

    async def _table_page(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        refusal = self._refusal(name)
        if refusal is not None:
            return refusal
        return _json(
            {"table": name, "entries": [_shown(entry) for entry in self._tables.entries(name)]}
        )

    async def _entry_page(self, request: web.Request) -> web.Response:
        name, key = request.match_info["name"], request.match_info["key"]
        refusal = self._refusal(name)
        if refusal is not None:
            return refusal
        if not self._tables.owns(name, key):
            return _json(
                {"code": "not_owner", "message": "another worker owns this key"}, status=421
            )
        entry = self._tables.find(name, key)
        if entry is None:
            return _json(
                {"code": "unknown_key", "message": f"{name} has no key {key!r}"}, status=404
            )
        return _json(_shown(entry))

    def _refusal(self, name: str) -> web.Response | None:
        if name not in self._tables.names():
            return _json(
                {"code": "unknown_table", "message": f"there is no table {name!r}"}, status=404
            )
        if not self._tables.is_ready:
            return _json(
                {"code": "recovering", "message": "tables are being recovered"}, status=503
            )
        return None


def _shown(entry: StoredEntry) -> dict[str, Any]:
    return {
        "key": entry.key,
        "state": Entry.decode(entry.value).state,
        "partition": entry.partition,
    }


def _json(body: Mapping[str, Any], status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json")
