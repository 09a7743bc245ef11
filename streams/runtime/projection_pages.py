"""`/api/projections/NAME/KEY`: one entry of a projection, whichever worker of the app is asked.

A worker that does not own the key asks the one that does, whose address the group's leader has told
all members with their assignment. What is kept in Postgres, and every `?at=`, is read from there.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final, Protocol

import orjson
from aiohttp import ClientError, ClientSession, ClientTimeout, web
from yarl import URL

from schemas.errors import WundrError
from streams.projection import Entry
from streams.table import StoredEntry

FORWARDED: Final = "x-wundr-forwarded"
"""Header of a question that a worker has passed on: it is not passed on again."""

FORWARD_S: Final = 5.0


class OwnedTables(Protocol):
    """What is asked of the worker's tables."""

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

    def owner(self, name: str, key: str) -> str | None:
        """The address of the worker that owns the key; None while nobody does."""
        ...

    def find(self, name: str, key: str) -> StoredEntry | None:
        """One entry."""
        ...


class StoredProjections(Protocol):
    """What is asked of the database."""

    def names(self) -> Collection[str]:
        """The projections that are kept there."""
        ...

    async def live(self, name: str, key: str) -> Mapping[str, Any] | None:
        """The row of a key in the version that is read."""
        ...

    async def as_of(self, name: str, key: str, at: str) -> Mapping[str, Any] | None:
        """The state of a key at a time or a version, of any projection.

        Raises ValueError for what is neither.
        """
        ...


class NothingStored:
    """Implements StoredProjections for a worker that knows no database."""

    def names(self) -> Collection[str]:
        """See StoredProjections."""
        return ()

    async def live(self, name: str, key: str) -> Mapping[str, Any] | None:
        """See StoredProjections."""
        return None

    async def as_of(self, name: str, key: str, at: str) -> Mapping[str, Any] | None:
        """See StoredProjections."""
        raise ValueError("this worker knows no event store")


class ProjectionPages:
    """The answers of one worker."""

    def __init__(self, tables: OwnedTables, stored: StoredProjections) -> None:
        self._tables = tables
        self._stored = stored
        self._session: ClientSession | None = None

    async def answer(self, request: web.Request) -> web.Response:
        """One entry, as JSON."""
        name, key = request.match_info["name"], request.match_info["key"]
        at = request.query.get("at")
        is_table = name in self._tables.names()
        if not is_table and name not in self._stored.names():
            return _refusal(404, "unknown_projection", f"there is no projection {name!r}")
        try:
            if at is not None:
                found = await self._stored.as_of(name, key, at)
            elif is_table:
                return await self._from_table(request, name, key)
            else:
                found = await self._stored.live(name, key)
        except ValueError as error:
            return _refusal(400, "bad_time", str(error))
        except WundrError as error:
            return _refusal(503 if error.retryable else 500, error.code, error.message)
        return _unknown(name, key) if found is None else _json(found)

    async def close(self) -> None:
        """Let go of connections to other workers."""
        if self._session is not None:
            await self._session.close()

    async def _from_table(self, request: web.Request, name: str, key: str) -> web.Response:
        if not self._tables.is_ready:
            return _refusal(503, "recovering", "tables are being recovered")
        if not self._tables.owns(name, key):
            return await self._from_owner(request, name, key)
        entry = self._tables.find(name, key)
        if entry is None:
            return _unknown(name, key)
        state = Entry.decode(entry.value).state
        return _json({"projection": name, "key": key, "state": state, "partition": entry.partition})

    async def _from_owner(self, request: web.Request, name: str, key: str) -> web.Response:
        owner = self._tables.owner(name, key)
        if owner is None or FORWARDED in request.headers:
            return _refusal(503, "no_owner", "the key is changing its owner")
        if self._session is None:
            self._session = ClientSession(timeout=ClientTimeout(total=FORWARD_S))
        url = URL(owner).join(request.rel_url)
        try:
            async with self._session.get(url, headers={FORWARDED: "1"}) as response:
                return web.Response(
                    body=await response.read(),
                    status=response.status,
                    content_type="application/json",
                )
        except (TimeoutError, ClientError) as error:
            return _refusal(503, "owner_away", f"{owner} does not answer: {error!r}")


def _unknown(name: str, key: str) -> web.Response:
    return _refusal(404, "unknown_key", f"{name} has no key {key!r}")


def _refusal(status: int, code: str, message: str) -> web.Response:
    return _json({"code": code, "message": message}, status)


def _json(body: Mapping[str, Any], status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(body), status=status, content_type="application/json")
