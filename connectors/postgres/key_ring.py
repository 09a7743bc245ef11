"""The keys of people in Postgres, in a database of their own.

Synchronous, as `KeyRing` is: one short statement on one connection. Put `CachedKeyRing` before it.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

import psycopg
from psycopg.rows import TupleRow

from connectors.postgres.database import check_address, session_options
from connectors.postgres.error_map import platform_errors
from connectors.settings import PostgresSettings
from connectors.sql import QUERIES
from schemas.errors import SubjectForgotten
from schemas.key_ring import SubjectKey, new_key

_SHORTEST_CONNECT_TIMEOUT_S: Final = 2
"""libpq takes nothing shorter."""


class PostgresKeyRing:
    """Implements KeyRing. Connects with its first use; raises DatabaseUnavailable, NotMigrated.

    A statement on a connection that was lost meanwhile is tried once more, on a new one: each of
    them gives the same when it is done twice.
    """

    def __init__(self, settings: PostgresSettings) -> None:
        """Check the address without connecting. Raises InvalidPostgresSettings."""
        check_address(settings)
        self._settings = settings
        self._connection: psycopg.Connection[TupleRow] | None = None

    def key_for(self, subject: str) -> SubjectKey:
        """See KeyRing."""
        values = {"digest": _digest(subject)}
        row = self._row("key_of_subject", values)
        if row is None:
            made = new_key(subject)
            self._execute(
                "make_key",
                {**values, "key_id": made.id, "subject": subject, "secret": made.secret},
            )
            row = self._row("key_of_subject", values)
        if row is None or row[-1] is not None:
            raise SubjectForgotten
        return SubjectKey(id=row[0], subject=row[1], secret=row[2])

    def key(self, key_id: str) -> SubjectKey | None:
        """See KeyRing."""
        if "\x00" in key_id:
            return None
        row = self._row("key_by_id", {"key_id": key_id})
        return None if row is None else SubjectKey(id=row[0], subject=row[1], secret=row[2])

    def forget(self, subject: str) -> datetime:
        """See KeyRing."""
        row = self._row("forget_subject", {"digest": _digest(subject)})
        assert row is not None  # both ways of the statement return their row
        self._execute("wait_for_the_rewrite", {})
        self._execute("rewrite_keys", {})
        self.close()
        forgotten_at: datetime = row[0]
        return forgotten_at

    def close(self) -> None:
        """Close the connection, if there is one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _row(self, query: str, values: Mapping[str, Any]) -> Sequence[Any] | None:
        return self._execute(query, values).fetchone()

    def _execute(self, query: str, values: Mapping[str, Any]) -> psycopg.Cursor[TupleRow]:
        with platform_errors():
            if self._connection is not None:
                with suppress(psycopg.OperationalError, psycopg.InterfaceError):
                    return self._connection.execute(QUERIES[query], values)
                self.close()
            self._connection = self._connected()
            return self._connection.execute(QUERIES[query], values)

    def _connected(self) -> psycopg.Connection[TupleRow]:
        settings = self._settings
        return psycopg.connect(
            settings.dsn,
            autocommit=True,
            connect_timeout=max(_SHORTEST_CONNECT_TIMEOUT_S, round(settings.acquire_timeout_s)),
            options=session_options(settings),
        )


def _digest(subject: str) -> bytes:
    return sha256(subject.encode()).digest()
