"""History in Postgres, read by ranges of offsets."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import orjson

from connectors.history import Span, Wanted
from connectors.postgres.database import Database
from connectors.postgres.event_store import type_range
from connectors.sql import QUERIES
from schemas.codec import Codec
from schemas.errors import UnknownSchemaId
from schemas.event import Event
from schemas.pattern import EVERY_TYPE
from streams.folding import StoredEvent
from streams.reading import view_resolved
from streams.writer_schemas import WriterSchemas

NO_TOPIC: Final = ""
"""Stands for the topic of a store that no sink has filled yet."""


class PostgresHistory:
    """Implements History. Nothing is decoded but what is read of an event."""

    def __init__(self, database: Database, codec: Codec, schemas: WriterSchemas) -> None:
        self._database = database
        self._codec = codec
        self._schemas = schemas
        self._topic_id = NO_TOPIC

    async def ends(self) -> Mapping[int, int]:
        """See History."""
        async with self._database.transaction() as connection:
            found = await connection.execute(QUERIES["history_ends"])
            rows = await found.fetchall()
        if rows:
            self._topic_id = rows[0][0]
        return {row[1]: row[2] for row in rows}

    async def page(self, spans: Sequence[Span], wanted: Wanted) -> Sequence[StoredEvent]:
        """See History."""
        first_types, last_types = _type_ranges(wanted.patterns)
        values = {
            "topic_id": await self._topic(),
            "partitions": [span.partition for span in spans],
            "starts": [span.start for span in spans],
            "ends": [span.until for span in spans],
            "first_types": first_types,
            "last_types": last_types,
            "since": wanted.since,
            "until": wanted.until,
        }
        async with self._database.transaction() as connection:
            await connection.execute(QUERIES["prefer_indexes"])
            async with connection.cursor(binary=True) as cursor:
                await cursor.execute(QUERIES["history_page"], values)
                rows = await cursor.fetchall()
        return await self._viewed(rows)

    async def after_gap(self, partition: int, start: int) -> int | None:
        """See History."""
        values = {"topic_id": await self._topic(), "partition": partition, "start": start}
        async with self._database.transaction() as connection:
            found = await connection.execute(QUERIES["history_after_gap"], values)
            row = await found.fetchone()
        return None if row is None else row[0]

    async def of_aggregate(
        self, aggregate_type: str, aggregate_id: str, until: datetime | None
    ) -> Sequence[Event[Any]]:
        """See History."""
        async with self._database.transaction() as connection:
            found = await connection.execute(
                QUERIES["history_of_aggregate"],
                {"aggregate_type": aggregate_type, "aggregate_id": aggregate_id, "until": until},
            )
            rows = await found.fetchall()
        return [await view_resolved(self._codec, self._schemas, row[0]) for row in rows]

    async def stored(self, event_ids: Sequence[str]) -> dict[str, Event[Any]]:
        """See History."""
        if not event_ids:
            return {}
        asked = {"event_ids": orjson.dumps(event_ids).decode()}
        async with self._database.transaction() as connection:
            found = await connection.execute(QUERIES["history_by_ids"], asked)
            rows = await found.fetchall()
        views = [await view_resolved(self._codec, self._schemas, row[0]) for row in rows]
        return {event.id: event for event in views}

    async def _topic(self) -> str:
        if self._topic_id == NO_TOPIC:
            await self.ends()
        return self._topic_id

    async def _viewed(self, rows: Sequence[tuple[Any, ...]]) -> Sequence[StoredEvent]:
        view = self._codec.view
        viewed: list[StoredEvent] = []
        for partition, offset, framed in rows:
            try:
                event = view(framed)
            except UnknownSchemaId:
                event = await view_resolved(self._codec, self._schemas, framed)
            viewed.append(StoredEvent(partition, offset, event))
        return viewed


def _type_ranges(patterns: Sequence[str]) -> tuple[list[str] | None, list[str] | None]:
    """The ranges of types as two lists; None twice for every type."""
    if EVERY_TYPE in patterns:
        return None, None
    ranges = [type_range(pattern) for pattern in patterns]
    return [str(first) for first, _ in ranges], [str(last) for _, last in ranges]
