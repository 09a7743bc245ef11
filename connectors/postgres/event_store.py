"""Stored events as queries. Events come back as light views over the bytes that were stored."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from psycopg.rows import TupleRow

from connectors.errors import EventNotFound
from connectors.page import PAGE_BYTES, PAGE_ROWS, is_last
from connectors.postgres.database import Database
from connectors.sql import QUERIES
from schemas.codec import Codec
from schemas.errors import UnknownSchemaId
from schemas.event import Event
from streams.event_store import EVERYTHING, LAST_VERSION, Selection
from streams.reading import view_resolved
from streams.writer_schemas import WriterSchemas

_LAST_CHARACTER: Final = "\U0010ffff"
_PAGE: Final = 500
_PAGE_BOUNDS: Final = {"rows": PAGE_ROWS, "bytes": PAGE_BYTES}
_FIRST_TIME: Final = datetime.min.replace(tzinfo=UTC)
_LAST_TIME: Final = datetime.max.replace(tzinfo=UTC)


class Cursor(NamedTuple):
    """Where a reader is: the next offset of one partition of one Kafka topic, told by its id."""

    topic_id: str
    partition: int
    offset: int


class PostgresEventStore:
    """Implements EventQueries, with queries by id, by type and by cursor beside it.

    Events of newer releases are read by the schemas that their producers announced. Every method
    may raise DatabaseUnavailable, and UnknownSchemaId for an event whose schema nobody announced.
    """

    def __init__(
        self,
        database: Database,
        codec: Codec,
        schemas: WriterSchemas,
    ) -> None:
        self._database = database
        self._codec = codec
        self._schemas = schemas

    async def get_events(
        self,
        aggregate_type: str | None,
        aggregate_id: str,
        from_version: int | None = None,
        target_version: int | None = None,
    ) -> list[Event[Any]]:
        """See StoredEvents."""
        return await self._events(
            "events_by_aggregate",
            {
                "aggregate_id": aggregate_id,
                "from_version": from_version,
                "target_version": target_version,
                "aggregate_type": aggregate_type,
            },
        )

    async def history(
        self,
        aggregate_type: str,
        aggregate_id: str,
        from_version: int = 1,
        target_version: int | None = None,
    ) -> AsyncIterator[Event[Any]]:
        """See EventQueries."""
        following = from_version
        target = LAST_VERSION if target_version is None else target_version
        while following <= target:
            rows = await self._page(
                "events_by_version",
                {
                    "aggregate_type": aggregate_type,
                    "aggregate_id": aggregate_id,
                    "from_version": following,
                    "target_version": target,
                    **_PAGE_BOUNDS,
                },
            )
            for event in await self._views(rows):
                yield event
            if _ends(rows):
                return
            following = rows[-1][1] + 1

    async def stream(self, selection: Selection = EVERYTHING) -> AsyncIterator[Event[Any]]:
        """See EventQueries."""
        query, first, last = _query_in_time(selection.pattern)
        after: tuple[datetime, int] = (selection.since or _FIRST_TIME, -1)
        until = selection.until or _LAST_TIME
        while True:
            # No bound at the end, neither of time nor of type: to a planner without statistics it
            # looks selective, and then all that is left is sorted for each page.
            rows = await self._page(
                query,
                {
                    "first_type": first,
                    "last_type": last,
                    "after_time": after[0],
                    "after_sequence": after[1],
                    **_PAGE_BOUNDS,
                },
            )
            wanted = [row for row in rows if row[1] < until and row[3:] in ((), (first,))]
            for event in await self._views(wanted):
                yield event
            if _ends(rows) or len(wanted) < len(rows):
                return
            after = (rows[-1][1], rows[-1][2])

    async def get_events_by_causation(self, event_id: str) -> list[Event[Any]]:
        """See EventQueries."""
        return await self._events("events_by_causation", {"event_id": event_id})

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
        return await self._views(await self._rows(query, values))

    async def _rows(self, query: str, values: Mapping[str, Any]) -> list[TupleRow]:
        async with self._database.transaction() as connection:
            found = await connection.execute(QUERIES[query], values)
            return await found.fetchall()

    async def _page(self, query: str, values: Mapping[str, Any]) -> list[TupleRow]:
        """One page of many, read in the order of an index whatever statistics may say."""
        async with self._database.transaction() as connection:
            await connection.execute(QUERIES["keep_order"])
            found = await connection.execute(QUERIES[query], values)
            return await found.fetchall()

    async def _views(self, rows: Sequence[TupleRow]) -> list[Event[Any]]:
        """The events of rows that begin with their bytes."""
        try:
            return [self._codec.view(row[0]) for row in rows]
        except UnknownSchemaId:
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


def _query_in_time(pattern: str) -> tuple[str, str | None, str | None]:
    """The query that an index serves for this pattern, and the bounds that it takes."""
    first, last = type_range(pattern)
    if first is None:
        return "events_in_time", None, None
    return "events_of_type_in_time" if first == last else "events_of_types_in_time", first, last


def _ends(rows: Sequence[TupleRow]) -> bool:
    """Whether a page of rows that begin with their bytes is the last one."""
    return is_last(len(rows), sum(len(row[0]) for row in rows))
