"""A pool of connections. Waits are bounded; lost connections are replaced without a restart."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Self

import psycopg
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool

from connectors.errors import InvalidPostgresSettings
from connectors.postgres.error_map import platform_errors
from connectors.settings import PostgresSettings

Connection = AsyncConnection[TupleRow]

_RECONNECT_S: Final = 2.0
"""The pool stops trying by itself after this; the next caller makes it try again at once."""


class Database:
    """Gives connections, one transaction each. Use as an asynchronous context manager."""

    def __init__(self, settings: PostgresSettings) -> None:
        """Check the address without connecting. Raises InvalidPostgresSettings."""
        check_address(settings)
        self._pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            settings.dsn,
            min_size=1,
            max_size=max(1, settings.pool_size),
            open=False,
            timeout=settings.acquire_timeout_s,
            reconnect_timeout=_RECONNECT_S,
            check=AsyncConnectionPool.check_connection,
            kwargs={
                "autocommit": True,
                "connect_timeout": max(2, round(settings.acquire_timeout_s)),
                "options": session_options(settings),
            },
            name="wundr",
        )

    async def __aenter__(self) -> Self:
        """Open the pool; a database that is away is met by the first caller, not here."""
        await self._pool.open(wait=False)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close every connection."""
        await self._pool.close()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """One transaction: committed at the end of the block, rolled back when it raises.

        Raises DatabaseUnavailable (the outcome of a commit may then be unknown) or DatabaseRefused.
        """
        with platform_errors():
            async with self._pool.connection() as connection, connection.transaction():
                yield connection


def check_address(settings: PostgresSettings) -> None:
    """Raise InvalidPostgresSettings, without showing the address, when it cannot be read."""
    try:
        conninfo_to_dict(settings.dsn)
    except psycopg.ProgrammingError:
        # The driver's message quotes the address, which may hold a password.
        raise InvalidPostgresSettings from None


def session_options(settings: PostgresSettings) -> str:
    """What every session needs: a commit that survives a crash, bounded statements, no chatter."""
    role = f"-c role={settings.role} " if settings.role else ""
    return (
        f"{role}-c synchronous_commit=on -c client_min_messages=warning -c timezone=UTC "
        f"-c statement_timeout={round(settings.statement_timeout_s * 1000)}"
    )
