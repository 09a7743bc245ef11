"""A proxy in front of PostgreSQL that cuts the connection around a marked statement."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from enum import StrEnum
from urllib.parse import urlsplit

from psycopg.conninfo import conninfo_to_dict

MARK = "cut-me"
"""Text in the parameters of the statement that is to be cut."""


class Cut(StrEnum):
    """When the connection is cut; in every case the client hears nothing."""

    BEFORE = "the server never gets the statement"
    DURING = "the server gets the statement, and nobody waits for its answer"
    AFTER = "the server has committed and answered"


class CuttingProxy:
    """Cuts one connection each time it was armed."""

    def __init__(self, socket: str) -> None:
        self._socket = socket
        self._armed: Cut | None = None
        self._serving: set[asyncio.Task[None]] = set()
        self.cuts = 0

    def arm(self, cut: Cut) -> None:
        """Cut the next marked statement."""
        self._armed = cut

    async def serve(
        self, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter
    ) -> None:
        """Pass on what client and server say, until one has ended or it is cut."""
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        from_server, to_server = await asyncio.open_unix_connection(self._socket)
        answering = asyncio.create_task(_pass_on(from_server, to_client))
        try:
            with suppress(ConnectionError):
                while said := await from_client.read(1 << 20):
                    cut = self._cut(said)
                    if cut is not Cut.BEFORE:
                        if cut is Cut.AFTER:
                            await _end(answering)
                        to_server.write(said)
                        await to_server.drain()
                    if cut is Cut.AFTER:
                        await from_server.read(1)
                    if cut is not None:
                        break
        finally:
            await _end(answering)
            for writer in (to_server, to_client):
                writer.close()
                with suppress(ConnectionError):
                    await writer.wait_closed()
            self._serving.discard(task)

    async def ended(self) -> None:
        """Return when every connection is closed on both sides."""
        await asyncio.gather(*self._serving)

    def _cut(self, said: bytes) -> Cut | None:
        if self._armed is None or MARK.encode() not in said:
            return None
        cut, self._armed = self._armed, None
        self.cuts += 1
        return cut


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while said := await reader.read(1 << 20):
            writer.write(said)
    writer.close()


@asynccontextmanager
async def cutting(dsn: str) -> AsyncIterator[tuple[CuttingProxy, str]]:
    """A proxy in front of the server of a DSN that names a folder of sockets, and its own DSN."""
    parts = conninfo_to_dict(dsn)
    proxy = CuttingProxy(f"{parts['host']}/.s.PGSQL.{parts.get('port') or 5432}")
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    database = urlsplit(dsn).path
    try:
        yield proxy, f"postgresql://{parts['user']}@127.0.0.1:{port}{database}"
    finally:
        server.close()
        await proxy.ended()
