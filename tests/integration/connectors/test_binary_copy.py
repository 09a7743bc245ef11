"""What COPY is sent in C, beside the driver's own encoding, in a real table."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

import psycopg
import pytest

from connectors import native
from connectors.postgres import binary_copy
from connectors.postgres.binary_copy import write_rows
from connectors.postgres.database import Database
from connectors.settings import PostgresSettings

pytestmark = pytest.mark.postgres

TYPES: Final = ("int4", "text", "int2", "int8", "timestamptz", "bytea")
NOW: Final = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
ELSEWHERE: Final = NOW.astimezone(timezone(timedelta(hours=5, minutes=30)))

Row = tuple[Any, ...]


def plain(number: int) -> Row:
    return (number, f"ünï🙂 {number}", number % 7, 2**62 - number, NOW, bytes([number % 256]) * 900)


def unusual(number: int) -> Row:
    """A row that the part in C does not send."""
    return (number, None, None, None, ELSEWHERE, None)


async def stored(dsn: str, rows: list[Row]) -> list[Row]:
    """The rows of a table that these were copied into, in the order in which they came."""
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        await connection.execute(
            "CREATE TABLE copied (number int4, name text, small int2, large int8, at timestamptz,"
            " framed bytea, sequence bigint GENERATED ALWAYS AS IDENTITY)"
        )
        async with (
            connection.cursor() as cursor,
            cursor.copy(
                "COPY copied (number, name, small, large, at, framed) FROM STDIN (FORMAT binary)"
            ) as copy,
        ):
            await write_rows(copy, TYPES, rows)
        found = await connection.execute(
            "SELECT number, name, small, large, at, framed FROM copied ORDER BY sequence"
        )
        return await found.fetchall()


@pytest.mark.parametrize("in_use", sorted({native.AVAILABLE, False}))
@pytest.mark.parametrize("first_unusual", [None, 0, 3, 2_500])
async def test_rows_arrive_in_order_whoever_encodes_them(
    fresh_database: str, monkeypatch: pytest.MonkeyPatch, first_unusual: int | None, in_use: bool
) -> None:
    monkeypatch.setattr(native, "IN_USE", in_use)
    rows = [plain(number) for number in range(3_000)]
    if first_unusual is not None:
        rows[first_unusual] = unusual(first_unusual)
    assert sum(len(row[-1] or b"") for row in rows) > 2 * binary_copy.BLOCK_BYTES
    assert await stored(fresh_database, rows) == rows


@pytest.mark.parametrize("rows", [[unusual(0)], [plain(0), unusual(1)]])
async def test_no_last_row_is_left_out(fresh_database: str, rows: list[Row]) -> None:
    assert await stored(fresh_database, rows) == rows


async def test_a_last_row_in_a_block_of_its_own_is_not_left_out(
    fresh_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binary_copy, "BLOCK_BYTES", 1)
    rows = [plain(0), plain(1), unusual(2)]
    assert await stored(fresh_database, rows) == rows


async def test_texts_are_stored_as_they_are_whatever_the_environment_says(
    fresh_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    async with (
        Database(PostgresSettings(dsn=fresh_database)) as database,
        database.transaction() as connection,
    ):
        await connection.execute("CREATE TABLE named (name text)")
        async with (
            connection.cursor() as cursor,
            cursor.copy("COPY named FROM STDIN (FORMAT binary)") as copy,
        ):
            await write_rows(copy, ("text",), [("Zoë",)])
        found = await connection.execute("SELECT name, octet_length(name) FROM named")
        assert await found.fetchall() == [("Zoë", 4)]


async def test_a_type_that_is_not_sent_in_c_is_left_to_the_driver(fresh_database: str) -> None:
    async with await psycopg.AsyncConnection.connect(fresh_database) as connection:
        await connection.execute("CREATE TABLE held (name text, is_so bool)")
        async with (
            connection.cursor() as cursor,
            cursor.copy("COPY held FROM STDIN (FORMAT binary)") as copy,
        ):
            await write_rows(copy, ("text", "bool"), [("a", True), ("b", None)])
        found = await connection.execute("SELECT * FROM held")
        assert await found.fetchall() == [("a", True), ("b", None)]


async def test_what_cannot_be_sent_is_said_by_the_driver(fresh_database: str) -> None:
    rows = [plain(number) for number in range(10)]
    rows[7] = (7, "a\x00", *rows[7][2:])
    with pytest.raises(psycopg.DataError, match="0x00"):
        await stored(fresh_database, rows)
