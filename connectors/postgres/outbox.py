"""The outbox in Postgres. A shard is owned by a session that has its lock and its latest epoch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog
from psycopg import AsyncConnection
from psycopg.errors import InsufficientPrivilege, LockNotAvailable

from connectors.errors import ShardLost
from connectors.outbox import SHARDS, Delay, OutboxRow, OwnedShard
from connectors.postgres.database import Connection, Database, session_options
from connectors.postgres.error_map import platform_errors
from connectors.settings import PostgresSettings
from connectors.sql import QUERIES
from schemas.errors import UnknownSchemaId

_log = structlog.get_logger(__name__)

SILENT_S: Final = 10.0
"""An owner that has not renewed for so long is frozen: its session is ended by who wants on."""

BATCH_BYTES: Final = 16 * 1024 * 1024
"""Bytes of payload that one read of a shard may hold in memory, and one event more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresOutbox:
    """Implements Outbox. Owned shards have sessions of their own, questions use the pool."""

    settings: PostgresSettings
    database: Database
    silent_s: float = SILENT_S

    async def claim(self, shard: int) -> OwnedShard | None:
        """See Outbox. The session of an owner that is frozen is ended; the next claim succeeds."""
        if await self._is_held(shard):
            return None
        with platform_errors():
            connection = await self._connect()
            try:
                if not await _value(connection, "lock_shard", {"shard": shard}):
                    await connection.close()
                    return None
                epoch = await _value(connection, "claim_shard", {"shard": shard})
            except BaseException:
                await connection.close()
                raise
        return PostgresShard(connection, shard, epoch)

    async def schema(self, schema_id: int) -> str:
        """See Outbox. Raises UnknownSchemaId, which appends rule out."""
        async with self.database.connection() as connection:
            composed = await _value(connection, "writer_schema", {"id": schema_id})
        if composed is None:
            raise UnknownSchemaId(schema_id)
        return str(composed)

    async def delay(self) -> Delay:
        """See Outbox. Where a lock hides the rows, the lock's age stands for theirs."""
        with platform_errors():
            async with self.database.connection() as connection:
                found = await connection.execute(QUERIES["outbox_holders"])
                holder_s, horizon_s = await found.fetchone() or (0.0, 0.0)
                try:
                    async with connection.transaction():
                        await connection.execute(QUERIES["bound_lock_wait"])
                        found = await connection.execute(QUERIES["outbox_age"], {"shards": SHARDS})
                        oldest_s, waiting = await found.fetchone() or (0.0, 0)
                except LockNotAvailable:
                    oldest_s, waiting = holder_s, 0
        return Delay(oldest_s=oldest_s, holder_s=holder_s, horizon_s=horizon_s, waiting=waiting)

    async def _is_held(self, shard: int) -> bool:
        async with self.database.connection() as connection:
            found = await connection.execute(
                QUERIES["shard_holder"], {"shard": shard, "silent_s": self.silent_s}
            )
            holder = await found.fetchone()
            if holder is None:
                return False
            pid, is_frozen = holder
            if is_frozen:
                await _end_session(connection, shard, pid)
        return True

    async def _connect(self) -> Connection:
        """A session whose deletions a crash may undo: what they removed is sent again then."""
        return await AsyncConnection.connect(
            self.settings.dsn,
            autocommit=True,
            connect_timeout=max(2, round(self.settings.acquire_timeout_s)),
            options=f"{session_options(self.settings)} -c synchronous_commit=off",
        )


class PostgresShard:
    """Implements OwnedShard, for as long as its session lives."""

    def __init__(self, connection: Connection, shard: int, epoch: int) -> None:
        self._connection = connection
        self._shard = shard
        self.epoch = epoch

    async def unsent(self, limit: int) -> Sequence[OutboxRow]:
        """See OwnedShard."""
        values = {"shard": self._shard, "rows": limit, "bytes": BATCH_BYTES}
        with platform_errors():
            found = await self._connection.execute(QUERIES["unsent"], values, binary=True)
            return [OutboxRow(*row) for row in await found.fetchall()]

    async def remove(self, rows: Sequence[OutboxRow]) -> None:
        """See OwnedShard."""
        values = {
            "shard": self._shard,
            "epoch": self.epoch,
            "positions": [row.position for row in rows],
        }
        with platform_errors():
            if not await _value(self._connection, "remove_sent", values):
                raise ShardLost(self._shard)

    async def renew(self) -> None:
        """See OwnedShard."""
        values = {"shard": self._shard, "epoch": self.epoch}
        with platform_errors():
            renewed = await self._connection.execute(QUERIES["renew_shard"], values)
            if not renewed.rowcount:
                raise ShardLost(self._shard)

    async def release(self) -> None:
        """See OwnedShard: the lock goes with the session."""
        await self._connection.close()


async def _end_session(connection: Connection, shard: int, pid: int) -> None:
    _log.error("ending the session of a frozen relay", shard=shard, backend=pid)
    try:
        await connection.execute(QUERIES["end_session"], {"pid": pid})
    except InsufficientPrivilege:
        _log.exception("this role may not end the session: an operator has to", backend=pid)


async def _value(connection: Connection, query: str, values: Mapping[str, Any]) -> Any:
    """The first value of the first row; None without a row."""
    found = await connection.execute(QUERIES[query], values)
    row = await found.fetchone()
    return None if row is None else row[0]
