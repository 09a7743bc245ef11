"""Lends the connection of an open transaction to code that asks a Database for one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from connectors.postgres.database import Connection, Database


class SameTransaction(Database):
    """A Database whose every connection is one and the same, within a transaction of its owner.

    What is done over it is committed or rolled back with all the rest of the transaction.
    """

    def __init__(self, connection: Connection, acquire_timeout_s: float) -> None:
        self._lent = connection
        self._acquire_timeout_s = acquire_timeout_s

    @property
    def acquire_timeout_s(self) -> float:
        """See Database."""
        return self._acquire_timeout_s

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """The lent connection; errors of the driver are for its owner to map."""
        yield self._lent

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """The lent connection, whose transaction is open."""
        yield self._lent
