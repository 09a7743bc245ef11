"""Events that are appended many at a time, in both forms of their arrays, in the real tables."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import psycopg
import pytest
from psycopg.rows import namedtuple_row

from connectors import native
from connectors.event_row import EventRow, event_row
from connectors.postgres.binary_array import binary_array, let_send_arrays
from connectors.postgres.database import Connection, Database
from connectors.postgres.event_appender import PostgresEventAppender
from connectors.postgres.migrations import migrate
from connectors.settings import PostgresSettings
from schemas.codec import Codec
from schemas.event import Event
from schemas.headers import traceparent
from streams.expectation import NO_EVENTS
from tests.contracts.accounts import CATALOG, credited, opened

pytestmark = pytest.mark.postgres

CODEC: Final = Codec(CATALOG)
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
LAST_MS: Final = 253_402_300_799_999
FIRST_MS: Final = (datetime(1, 1, 1, tzinfo=UTC) - EPOCH) // timedelta(milliseconds=1)


def at(event: Event[Any], timestamp_ms: int) -> Event[Any]:
    """The event at another time."""
    return Event(event.envelope._replace(timestamp_ms=timestamp_ms), event.data)


def unlike() -> list[Event[Any]]:
    """Events that have little in common, none of them in the order of its time or id."""
    return [
        at(opened("ä"), LAST_MS),
        at(credited("ä", note='"NULL", {ünï🙂}\\'), FIRST_MS),
        credited("ä", note="a\x00b"),
        credited("ä", rate=float("nan"), correlation_id="", causation_id="ñ"),
        credited("ä", note="x" * 300_000),
        at(credited("ä", note=""), -1),
    ]


@pytest.mark.parametrize("in_use", sorted({native.AVAILABLE, False}))
@pytest.mark.parametrize("stores_json", [True, False])
async def test_rows_are_those_of_the_events_whoever_encodes_them(
    fresh_database: str, monkeypatch: pytest.MonkeyPatch, in_use: bool, stores_json: bool
) -> None:
    monkeypatch.setattr(native, "IN_USE", in_use)
    settings = PostgresSettings(dsn=fresh_database)
    await migrate(settings)
    async with Database(settings) as database:
        appender = PostgresEventAppender(database, CATALOG, Codec(CATALOG), stores_json=stores_json)
        done = await appender.append(unlike(), NO_EVENTS, command_id="c")
        async with database.connection() as connection:
            expected = [
                event_row(event, CODEC.encode(event), with_json=stores_json)
                for event in done.events
            ]
            assert await is_json_alike(connection, expected)
            assert await stored(connection) == [row._replace(data=None) for row in expected]
            assert await waiting(connection) == [
                (event.id, CODEC.encode(event), traceparent(event)) for event in done.events
            ]


async def stored(connection: Connection) -> list[EventRow]:
    """The rows in the order in which they came, without their data."""
    columns = ", ".join(f'"{name}"' for name in EventRow._fields if name != "data")
    async with connection.cursor(row_factory=namedtuple_row) as cursor:
        await cursor.execute(f"SELECT {columns}, NULL AS data FROM events ORDER BY sequence")
        return [EventRow(**row._asdict()) for row in await cursor.fetchall()]


async def is_json_alike(connection: Connection, rows: list[EventRow]) -> bool:
    """Whether the data are, to Postgres, those of the rows."""
    for row in rows:
        found = await connection.execute(
            "SELECT data IS NOT DISTINCT FROM %s::jsonb FROM events WHERE event_id = %s",
            (row.data, row.event_id),
        )
        if await found.fetchone() != (True,):
            return False
    return True


async def waiting(connection: Connection) -> list[tuple[Any, ...]]:
    """What the relay is to send, in its order."""
    found = await connection.execute(
        "SELECT id, payload, traceparent FROM outbox ORDER BY position"
    )
    return await found.fetchall()


@pytest.mark.parametrize("in_use", sorted({native.AVAILABLE, False}))
async def test_an_array_has_the_type_that_it_is_cast_to(
    fresh_database: str, monkeypatch: pytest.MonkeyPatch, in_use: bool
) -> None:
    monkeypatch.setattr(native, "IN_USE", in_use)
    texts: list[tuple[str | None, ...]] = [("é", None, ""), (None, None), ()]
    times = (EPOCH, None)
    async with await psycopg.AsyncConnection.connect(fresh_database) as connection:
        let_send_arrays(connection)
        for values in texts:
            found = await connection.execute(
                "SELECT %b::text[], %b::timestamptz[]",
                [binary_array("text", values), binary_array("timestamptz", times)],
            )
            assert await found.fetchone() == ([*values], [*times])


@pytest.mark.parametrize("in_use", sorted({native.AVAILABLE, False}))
async def test_a_text_that_postgres_cannot_hold_is_refused_by_it(
    fresh_database: str, monkeypatch: pytest.MonkeyPatch, in_use: bool
) -> None:
    monkeypatch.setattr(native, "IN_USE", in_use)
    async with await psycopg.AsyncConnection.connect(fresh_database) as connection:
        let_send_arrays(connection)
        with pytest.raises(psycopg.DataError, match="0x00"):
            await connection.execute("SELECT %b::text[]", [binary_array("text", ("a\x00",))])
