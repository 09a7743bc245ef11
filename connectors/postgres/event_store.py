"""Stored events as queries. Events come back as light views over the bytes that were stored."""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from connectors.errors import EventNotFound
from connectors.postgres.database import Database
from connectors.sql import QUERIES
from schemas.codec import Codec
from schemas.event import Event
from streams.reading import view_resolved
from streams.writer_schemas import WriterSchemas

_LAST_CHARACTER: Final = "\U0010ffff"
_PAGE: Final = 500


class Cursor(NamedTuple):
    """Where a reader is: the next offset of one partition of one Kafka topic, told by its id."""

    topic_id: str
    partition: int
    offset: int


class PostgresEventStore:
    """Implements StoredEvents, with queries by id, type, time and cursor beside it.

    Events of newer releases are read by the schemas that their producers announced. Every method
    may raise DatabaseUnavailable, and UnknownSchemaId for an event whose schema nobody announced.
    """

    def __init__(self, database: Database, codec: Codec, schemas: WriterSchemas) -> None:
        self._database = database
        self._codec = codec
        self._schemas = schemas

    async def get_events(
        self,
        aggregate_id: str,
        from_version: int | None = None,
        *,
        aggregate_type: str | None = None,
    ) -> list[Event[Any]]:
        """The history of an aggregate in order; from a version on where it has versions."""
        return await self._events(
            "events_by_aggregate",
            {
                "aggregate_id": aggregate_id,
                "from_version": from_version,
                "aggregate_type": aggregate_type,
            },
        )

    async def get_events_by_correlation(self, correlation_id: str) -> list[Event[Any]]:
        """All events of one request or session, in order of time."""
        return await self._events("events_by_correlation", {"correlation_id": correlation_id})

    async def get_event(self, event_id: str) -> Event[Any]:
        """One event. Raises EventNotFound."""
        found = await self._events("event_by_id", {"event_id": event_id})
        if not found:
            raise EventNotFound(event_id)
        return found[0]

    async def stored_ids(self, correlation_id: str) -> list[str]:
        """The ids of all stored events of one request, in no order; nothing is decoded."""
        async with self._database.transaction() as connection:
            found = await connection.execute(
                QUERIES["ids_by_correlation"], {"correlation_id": correlation_id}
            )
            return [row[0] for row in await found.fetchall()]

    async def recent(
        self, pattern: str = "*", *, since: datetime | None = None, limit: int = 100
    ) -> list[Event[Any]]:
        """The newest events whose type matches, newest first, at most `limit`."""
        first, last = type_range(pattern)
        return await self._events(
            "recent_events",
            {"first_type": first, "last_type": last, "since": since, "limit": limit},
        )

    async def follow(self, cursor: Cursor) -> AsyncIterator[tuple[Cursor, Event[Any]]]:
        """Every stored event of a partition from the cursor on, each with the cursor behind it.

        Ends at the last stored event. Holds one page in memory, and no connection between pages.
        """
        while True:
            async with self._database.transaction() as connection:
                found = await connection.execute(
                    QUERIES["events_from_cursor"], {**cursor._asdict(), "limit": _PAGE}
                )
                page = await found.fetchall()
            for offset, framed in page:
                cursor = cursor._replace(offset=offset + 1)
                yield cursor, await self._view(framed)
            if len(page) < _PAGE:
                return

    async def _events(self, query: str, values: Mapping[str, Any]) -> list[Event[Any]]:
        async with self._database.transaction() as connection:
            found = await connection.execute(QUERIES[query], values)
            rows = await found.fetchall()
        return [await self._view(row[0]) for row in rows]

    async def _view(self, framed: bytes) -> Event[Any]:
        return await view_resolved(self._codec, self._schemas, framed)


def type_range(pattern: str) -> tuple[str | None, str | None]:
    """The first and last type that a pattern can match, in byte order; None without a bound."""
    if pattern == "*":
        return None, None
    if pattern.endswith(".*"):
        prefix = pattern.removesuffix("*")
        return prefix, prefix + _LAST_CHARACTER
    return pattern, pattern
