"""A pool of connections. Waits are bounded; lost connections are replaced without a restart."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Self
from weakref import WeakKeyDictionary

import psycopg
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool

from connectors.errors import InvalidPostgresSettings
from connectors.postgres.binary_array import let_send_arrays
from connectors.postgres.error_map import platform_errors
from connectors.settings import PostgresSettings

Connection = AsyncConnection[TupleRow]

_RECONNECT_S: Final = 2.0
"""The pool stops trying by itself after this; the next caller makes it try again at once."""

_TRUSTED_S: Final = 1.0
"""How long after its last use a connection is taken to be there without asking."""


class Database:
    """Gives connections. Use as an asynchronous context manager, which closes them.

    Where nobody can enter it, as in the module of an app, it opens with its first use.
    """

    def __init__(self, settings: PostgresSettings) -> None:
        """Check the address without connecting. Raises InvalidPostgresSettings."""
        check_address(settings)
        self._used_at: WeakKeyDictionary[Connection, float] = WeakKeyDictionary()
        self._pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            settings.dsn,
            min_size=1,
            max_size=max(1, settings.pool_size),
            open=False,
            timeout=settings.acquire_timeout_s,
            reconnect_timeout=_RECONNECT_S,
            configure=_configured,
            check=self._check,
            kwargs={
                "autocommit": True,
                # Whatever the database, the address or the environment says: texts are sent so.
                "client_encoding": "UTF8",
                "connect_timeout": max(2, round(settings.acquire_timeout_s)),
                "options": session_options(settings),
            },
            name="wundr",
        )

    @property
    def acquire_timeout_s(self) -> float:
        """How long a caller waits for a connection before DatabaseUnavailable."""
        return self._pool.timeout

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
        async with self.connection() as connection, connection.transaction():
            yield connection

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection on which every statement is a transaction of its own.

        Raises DatabaseUnavailable (the outcome of a statement may then be unknown) or
        DatabaseRefused.
        """
        with platform_errors():
            if self._pool.closed:
                await self._pool.open(wait=False)
            connection = await self._pool.getconn()
            try:
                yield connection
                self._used_at[connection] = time.monotonic()
            finally:
                await self._pool.putconn(connection)

    async def _check(self, connection: Connection) -> None:
        """Replace a connection that was lost while nobody used it; asking costs a round trip."""
        if time.monotonic() - self._used_at.get(connection, 0.0) > _TRUSTED_S:
            await AsyncConnectionPool.check_connection(connection)


async def _configured(connection: Connection) -> None:
    let_send_arrays(connection)


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
