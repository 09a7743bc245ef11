"""Appends to Postgres: rows and their way to Kafka in one statement, which is one transaction."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from weakref import WeakValueDictionary

from psycopg.errors import UniqueViolation

from connectors.errors import DatabaseUnavailable, RestoreUnfinished
from connectors.event_row import EventRow, event_row
from connectors.outbox import shard_of
from connectors.postgres.binary_array import BinaryArray, binary_array
from connectors.postgres.database import Connection, Database
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

_OWN: Final[Mapping[str, str]] = {
    "event_id": "text",
    "type": "text",
    "schema_version": "text",
    "schema_id": "int4",
    "timestamp": "timestamptz",
    "source": "text",
    "correlation_id": "text",
    "causation_id": "text",
    "aggregate_version": "int8",
    "user_id": "text",
    "trace_id": "text",
    "framed": "bytea",
    "data": "text",
}
"""Types of the columns in which the events of an append differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    """What the store holds that decides about an append."""

    version: int
    command_first: int | None
    command_last: int | None
    ids_taken: Sequence[str]
    unknown_schemas: Sequence[int]


@dataclass(slots=True, eq=False, weakref_slot=True)
class _Turn:
    """The queue of this process for one aggregate, for as long as somebody stands in it.

    `is_contended`: another process appends to it, too.
    """

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    is_contended: bool = False


class PostgresEventAppender:
    """Implements CommandAppender. Needs no Kafka: the outbox relay sends what is appended.

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
        self._turns: WeakValueDictionary[str, _Turn] = WeakValueDictionary()

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
        turn = self._turns.setdefault(wanted.key, _Turn())
        async with self._standing_in(turn):
            if expected.version is None:
                return await self._append_to_any(wanted, encoded, turn)
            return await self._append_to(wanted, encoded, expected.version)

    async def result_of(
        self, aggregate_type: str, aggregate_id: str, command_id: str
    ) -> Appended | None:
        """See CommandResults. Raises also DatabaseUnavailable or DatabaseRefused."""
        values = {
            "aggregate_type": aggregate_type,
            "aggregate_id": aggregate_id,
            "command_id": command_id,
        }
        async with self._database.connection() as connection:
            found = await connection.execute(QUERIES["events_of_command"], values)
            framed = [row[0] for row in await found.fetchall()]
        events = tuple([await self._view(value) for value in framed])
        return Appended(events, _last_version(events), is_repeat=True) if events else None

    @asynccontextmanager
    async def _standing_in(self, turn: _Turn) -> AsyncIterator[None]:
        """Wait as long as for a connection: those in front may be waiting for Postgres."""
        try:
            async with asyncio.timeout(self._database.acquire_timeout_s):
                await turn.lock.acquire()
        except TimeoutError:
            raise DatabaseUnavailable(
                f"Other appends to it went before for {self._database.acquire_timeout_s} s."
            ) from None
        try:
            yield
        finally:
            turn.lock.release()

    async def _append_to(self, wanted: Append, encoded: "_Encoded", version: int) -> Appended:
        while True:
            async with self._database.connection() as connection:
                if await self._is_stored(connection, wanted, encoded, version):
                    return _done(encoded)
                state = await self._state(connection, wanted, encoded)
            if state.command_last is not None:
                return await self._first_result(wanted, state)
            if state.version != version:
                raise VersionConflict(wanted.key, version, state.version)
            await self._make_way(wanted, state)

    async def _append_to_any(self, wanted: Append, encoded: "_Encoded", turn: "_Turn") -> Appended:
        """Append behind what is there; once others came in between, queue with them."""
        while True:
            if turn.is_contended:
                async with self._database.transaction() as connection:
                    await connection.execute(QUERIES["queue_for_aggregate"], {"key": wanted.key})
                    outcome = await self._append_behind(connection, wanted, encoded)
            else:
                async with self._database.connection() as connection:
                    outcome = await self._append_behind(connection, wanted, encoded)
            if isinstance(outcome, Appended):
                return outcome
            await self._make_way(wanted, outcome)
            turn.is_contended = not outcome.unknown_schemas

    async def _append_behind(
        self, connection: Connection, wanted: Append, encoded: "_Encoded"
    ) -> Appended | _State:
        """One try behind the version that is there now; gives the state that it failed on."""
        state = await self._state(connection, wanted, encoded)
        if state.command_last is not None:
            return await self._first_result(wanted, state)
        placed = self._encoded(wanted, state.version)
        if await self._is_stored(connection, wanted, placed, state.version):
            return _done(placed)
        return state

    def _encoded(self, wanted: Append, version: int) -> "_Encoded":
        events = wanted.behind(version)
        return _Encoded(events=events, rows=[self._row(event) for event in events])

    def _row(self, event: Event[Any]) -> EventRow:
        """The row, without a personal value that anybody could read."""
        framed = self._codec.encode(event)
        stored = self._codec.as_stored(event, framed)
        return event_row(stored, framed, with_json=self._stores_json)

    async def _is_stored(
        self, connection: Connection, wanted: Append, encoded: "_Encoded", version: int
    ) -> bool:
        """Whether all rows were stored; none was when something about them is not so."""
        values = encoded.values() | {
            "version": version,
            "shard": shard_of(wanted.key),
            "topic": wanted.topic,
            "key": wanted.key,
        }
        query = "append_one" if len(encoded.rows) == 1 else "append_many"
        try:
            done = await connection.execute(QUERIES[query], values)
        except UniqueViolation:
            # Where a transaction is open it has failed by that: its end rolls it back.
            return False
        return done.rowcount == len(encoded.rows)

    async def _state(self, connection: Connection, wanted: Append, encoded: "_Encoded") -> _State:
        values = {
            "aggregate_type": wanted.aggregate_type,
            "aggregate_id": wanted.aggregate_id,
            "command_id": wanted.command_id,
            "event_ids": [row.event_id for row in encoded.rows],
            "schema_ids": list({row.schema_id for row in encoded.rows}),
        }
        found = await connection.execute(QUERIES["state_for_append"], values)
        row = await found.fetchone()
        assert row is not None  # an aggregate without GROUP BY has one row
        version, first, last, taken, unknown, is_restoring = row
        if is_restoring:
            raise RestoreUnfinished
        return _State(
            version=version,
            command_first=first,
            command_last=last,
            ids_taken=taken,
            unknown_schemas=unknown,
        )

    async def _make_way(self, wanted: Append, state: _State) -> None:
        """Refuse what can never be stored, and provide what was missing."""
        _refuse_taken(wanted, state.ids_taken)
        for schema_id in state.unknown_schemas:
            await self._keep_schema(schema_id)

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
        traceparents = tuple([traceparent(event) for event in self.events])
        return {
            **shared,
            **_columns(self.rows),
            "traceparent": binary_array("text", traceparents),
        }


def _columns(rows: Sequence[EventRow]) -> Mapping[str, BinaryArray]:
    """What the events have of their own, a column at a time."""
    columns = dict(zip(EventRow._fields, zip(*rows, strict=True), strict=True))
    return {name: binary_array(type_, columns[name]) for name, type_ in _OWN.items()}


def _done(encoded: _Encoded) -> Appended:
    return Appended(events=encoded.events, version=encoded.rows[-1].aggregate_version or 0)


def _last_version(events: Sequence[Event[Any]]) -> int:
    last = events[-1].aggregate if events else None
    return 0 if last is None else last.version or 0


def _refuse_taken(wanted: Append, taken: Sequence[str]) -> None:
    for at, event in enumerate(wanted.events):
        if event.id in taken:
            raise InvalidEventData(f"events[{at}].id", "is that of a stored event")
