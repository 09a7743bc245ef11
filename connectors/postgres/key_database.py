"""Makes the database of keys, and its table."""

import psycopg
from psycopg import AsyncConnection, sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.errors import DuplicateDatabase, UniqueViolation

from connectors.postgres.database import check_address
from connectors.postgres.error_map import platform_errors
from connectors.postgres.migrations import migrate
from connectors.settings import PostgresSettings
from connectors.sql import KEY_MIGRATIONS, QUERIES, load_migrations


async def prepare_key_database(settings: PostgresSettings, server: PostgresSettings) -> None:
    """Make the database beside those of `server` if it is not there, and bring it to this release.

    Raises InvalidPostgresSettings, DatabaseUnavailable or DatabaseRefused.
    """
    check_address(settings)
    check_address(server)
    name = str(conninfo_to_dict(settings.dsn).get("dbname", ""))
    with platform_errors():
        async with await AsyncConnection.connect(server.dsn, autocommit=True) as connection:
            found = await connection.execute(QUERIES["database_exists"], {"name": name})
            if await found.fetchone() is None:
                await _create(connection, name)
    await migrate_keys(settings)


async def migrate_keys(settings: PostgresSettings) -> None:
    """Make the table of keys in a database that is there; raises as `migrate` does."""
    await migrate(settings, load_migrations(KEY_MIGRATIONS))


async def _create(connection: AsyncConnection[tuple[object, ...]], name: str) -> None:
    try:
        await connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    except (DuplicateDatabase, UniqueViolation):
        # Another process was first.
        return


def beside(dsn: str, database: str) -> str:
    """The address of another database of the same server."""
    try:
        return make_conninfo(dsn, dbname=database)
    except psycopg.ProgrammingError:
        check_address(PostgresSettings(dsn=dsn))
        raise
