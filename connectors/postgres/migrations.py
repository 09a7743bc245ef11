"""Brings the tables to this release, one process at a time; refuses changed applied files."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import structlog
from psycopg import AsyncConnection

from connectors.errors import MigrationChanged
from connectors.postgres.database import Connection, check_address, session_options
from connectors.postgres.error_map import platform_errors
from connectors.settings import PostgresSettings
from connectors.sql import QUERIES, Migration, load_migrations

_log = structlog.get_logger(__name__)


def pending(migrations: Sequence[Migration], applied: Mapping[str, str]) -> list[Migration]:
    """What is still to apply, in order. Raises MigrationChanged for applied files that differ.

    Applied migrations that this release does not have are left alone: a newer release made them.
    """
    changed = [m.name for m in migrations if applied.get(m.name, m.checksum) != m.checksum]
    if changed:
        raise MigrationChanged(changed)
    return [migration for migration in migrations if migration.name not in applied]


async def migrate(
    settings: PostgresSettings, migrations: Sequence[Migration] | None = None
) -> list[str]:
    """Apply what is missing, all in one transaction, and return the names that were applied.

    Raises MigrationChanged, DatabaseUnavailable or DatabaseRefused; then nothing was changed.
    """
    check_address(settings)
    known = load_migrations() if migrations is None else migrations
    with platform_errors():
        async with (
            await AsyncConnection.connect(
                settings.dsn,
                autocommit=True,
                connect_timeout=max(2, round(settings.acquire_timeout_s)),
                # Only who owns the tables may change them, whatever role the services take on.
                options=session_options(replace(settings, role=None)),
            ) as connection,
            connection.transaction(),
        ):
            return await _apply(connection, known)


async def _apply(connection: Connection, migrations: Sequence[Migration]) -> list[str]:
    await connection.execute(QUERIES["lock_migrations"])
    await connection.execute(QUERIES["ensure_migrations_table"])
    rows = await (await connection.execute(QUERIES["list_migrations"])).fetchall()
    todo = pending(migrations, dict(rows))
    for migration in todo:
        await connection.execute(migration.statements)
        await connection.execute(
            QUERIES["record_migration"],
            {"name": migration.name, "checksum": migration.checksum},
        )
        _log.info("migration applied", name=migration.name)
    return [migration.name for migration in todo]
