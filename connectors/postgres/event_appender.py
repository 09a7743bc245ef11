"""Appends to Postgres: rows and their way to Kafka in one statement, which is one transaction."""

import asyncio
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from weakref import WeakValueDictionary

import orjson
from psycopg.errors import UniqueViolation

from connectors.event_row import EventRow, event_row
from connectors.outbox import shard_of
from connectors.postgres.database import Database
from connectors.sql import QUERIES
from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.errors import InvalidEventData, UnknownSchemaId
from schemas.event import Event
from schemas.framing import schema_id_of
from schemas.headers import traceparent
from streams.appending import Append
from streams.errors import VersionConflict
from streams.expectation import Appended, ExpectedVersion

_SHARED: Final = ("category", "priority", "aggregate_type", "aggregate_id", "command_id")
"""Columns that have one value in all events of an append."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    """What the store holds that decides about an append."""

    version: int
    command_first: int | None
    command_last: int | None
    ids_taken: Sequence[str]
    unknown_schemas: Sequence[int]


class PostgresEventAppender:
    """Implements EventAppender. Needs no Kafka: the outbox relay sends what is appended.

    An exact expectation costs one round trip; ANY_VERSION a second one, to read the version that
    the events are encoded with. Appends to one aggregate wait for each other within a process, so
    that they do not lose against each other in Postgres.
    """

    def __init__(
        self, database: Database, catalog: Catalog, codec: Codec, *, stores_json: bool = True
    ) -> None:
        """`stores_json`: whether `events.data` is filled for people who query with SQL."""
        self._database = database
        self._catalog = catalog
        self._codec = codec
        self._stores_json = stores_json
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def append(
        self,
        events: Sequence[Event[Any]],
        expected: ExpectedVersion,
        *,
        command_id: str | None = None,
    ) -> Appended:
        """See EventAppender. Raises also Unstorable, DatabaseUnavailable or DatabaseRefused."""
        wanted = Append.of(self._catalog, events, command_id)
        encoded = self._encoded(wanted, expected.version or 0)
        turn = self._turns.setdefault(wanted.key, asyncio.Lock())
        async with turn:
            if expected.version is None:
                return await self._append_to_any(wanted, encoded)
            return await self._append_to(wanted, encoded, expected.version)

    async def _append_to_any(self, wanted: Append, encoded: "_Encoded") -> Appended:
        """Read the version and append behind it, until nobody comes in between."""
        while True:
            state = await self._state(wanted, encoded)
            if state.command_last is not None:
                return await self._first_result(wanted, state)
            try:
                return await self._append_to(
                    wanted, self._encoded(wanted, state.version), state.version
                )
            except VersionConflict:
                continue

    async def _append_to(self, wanted: Append, encoded: "_Encoded", version: int) -> Appended:
        while not await self._store(wanted, encoded, version):
            state = await self._state(wanted, encoded)
            if state.command_last is not None:
                return await self._first_result(wanted, state)
            if state.version != version:
                raise VersionConflict(wanted.key, version, state.version)
            _refuse_taken(wanted, state.ids_taken)
            for schema_id in state.unknown_schemas:
                await self._keep_schema(schema_id)
        return Appended(events=encoded.events, version=version + len(encoded.events))

    def _encoded(self, wanted: Append, version: int) -> "_Encoded":
        events = wanted.behind(version)
        rows = [
            event_row(event, self._codec.encode(event), with_json=self._stores_json)
            for event in events
        ]
        return _Encoded(events=events, rows=rows)

    async def _store(self, wanted: Append, encoded: "_Encoded", version: int) -> bool:
        """Whether all rows were stored; none was when something about them is not so."""
        values = encoded.values() | {
            "version": version,
            "shard": shard_of(wanted.key),
            "topic": wanted.topic,
            "key": wanted.key,
        }
        query = "append_one" if len(encoded.rows) == 1 else "append_many"
        async with self._database.connection() as connection:
            try:
                done = await connection.execute(QUERIES[query], values)
            except UniqueViolation:
                return False
        return done.rowcount == len(encoded.rows)

    async def _state(self, wanted: Append, encoded: "_Encoded") -> _State:
        values = {
            "aggregate_type": wanted.aggregate_type,
            "aggregate_id": wanted.aggregate_id,
            "command_id": wanted.command_id,
            "event_ids": [row.event_id for row in encoded.rows],
            "schema_ids": list({row.schema_id for row in encoded.rows}),
        }
        async with self._database.connection() as connection:
            found = await connection.execute(QUERIES["state_for_append"], values)
            row = await found.fetchone()
        assert row is not None  # an aggregate without GROUP BY has one row
        version, first, last, taken, unknown = row
        return _State(
            version=version,
            command_first=first,
            command_last=last,
            ids_taken=taken,
            unknown_schemas=unknown,
        )

    async def _keep_schema(self, schema_id: int) -> None:
        schema = self._catalog.schema_ids()[schema_id]
        async with self._database.connection() as connection:
            await connection.execute(
                QUERIES["keep_writer_schema"],
                {"id": schema_id, "composed": schema.composed_json},
            )

    async def _first_result(self, wanted: Append, state: _State) -> Appended:
        """What the command brought about when it was carried out."""
        values = {
            "aggregate_type": wanted.aggregate_type,
            "aggregate_id": wanted.aggregate_id,
            "first": state.command_first,
            "last": state.command_last,
        }
        async with self._database.connection() as connection:
            found = await connection.execute(QUERIES["events_between_versions"], values)
            framed = [row[0] for row in await found.fetchall()]
        events = [await self._view(value) for value in framed]
        return Appended(events=tuple(events), version=state.command_last or 0, is_repeat=True)

    async def _view(self, framed: bytes) -> Event[Any]:
        """An event that perhaps a newer release has appended: its schema was kept with it."""
        schema_id = schema_id_of(framed)
        if not self._codec.knows(schema_id):
            async with self._database.connection() as connection:
                found = await connection.execute(QUERIES["writer_schema"], {"id": schema_id})
                row = await found.fetchone()
            if row is None:
                raise UnknownSchemaId(schema_id)
            self._codec.learn(row[0])
        return self._codec.view(framed)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Encoded:
    """The events of an append with the versions that they may get, and their rows."""

    events: tuple[Event[Any], ...]
    rows: Sequence[EventRow]

    def values(self) -> dict[str, Any]:
        """The parameters of append_one or append_many."""
        first = self.rows[0]
        if len(self.rows) == 1:
            return {**first._asdict(), "traceparent": traceparent(self.events[0])}
        shared = {name: getattr(first, name) for name in _SHARED}
        document = [
            _json_row(event, row) for event, row in zip(self.events, self.rows, strict=True)
        ]
        return {**shared, "rows": orjson.dumps(document).decode()}


def _json_row(event: Event[Any], row: EventRow) -> Mapping[str, Any]:
    return {
        "event_id": row.event_id,
        "type": row.type,
        "schema_version": row.schema_version,
        "schema_id": row.schema_id,
        "timestamp": row.timestamp,
        "source": row.source,
        "correlation_id": row.correlation_id,
        "causation_id": row.causation_id,
        "aggregate_version": row.aggregate_version,
        "user_id": row.user_id,
        "trace_id": row.trace_id,
        "base64": b64encode(row.framed).decode(),
        "data": None if row.data is None else orjson.Fragment(row.data),
        "traceparent": traceparent(event),
    }


def _refuse_taken(wanted: Append, taken: Sequence[str]) -> None:
    for at, event in enumerate(wanted.events):
        if event.id in taken:
            raise InvalidEventData(f"events[{at}].id", "is that of a stored event")
