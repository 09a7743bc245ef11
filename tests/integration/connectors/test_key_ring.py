from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from connectors.errors import DatabaseUnavailable, NotMigrated
from connectors.postgres.key_database import beside, migrate_keys, prepare_key_database
from connectors.postgres.key_ring import PostgresKeyRing
from connectors.settings import PostgresSettings
from schemas.errors import SubjectForgotten

pytestmark = pytest.mark.postgres


@pytest.fixture
async def settings(fresh_database: str) -> PostgresSettings:
    settings = PostgresSettings(dsn=fresh_database)
    await migrate_keys(settings)
    return settings


def test_processes_that_meet_a_subject_at_once_agree_on_its_key(settings: PostgresSettings) -> None:
    rings = [PostgresKeyRing(settings) for _ in range(8)]
    with ThreadPoolExecutor(len(rings)) as pool:
        keys = list(pool.map(lambda ring: ring.key_for("ada"), rings))
    assert len({key.id for key in keys}) == 1
    assert len({key.secret for key in keys}) == 1
    for ring in rings:
        ring.close()


def test_a_forget_that_meets_a_first_use_leaves_no_key(settings: PostgresSettings) -> None:
    using, forgetting = PostgresKeyRing(settings), PostgresKeyRing(settings)

    def use(subject: str) -> None:
        try:
            using.key_for(subject)
        except SubjectForgotten:
            return

    with ThreadPoolExecutor(2) as pool:
        for number in range(50):
            used = pool.submit(use, f"subject-{number}")
            forgotten = pool.submit(forgetting.forget, f"subject-{number}")
            used.result()
            forgotten.result()
    with psycopg.connect(settings.dsn) as connection:
        left = connection.execute("SELECT count(*) FROM subject_keys WHERE secret IS NOT NULL")
        assert left.fetchone() == (0,)
    using.close()
    forgetting.close()


def test_of_a_forgotten_subject_only_a_digest_is_left(settings: PostgresSettings) -> None:
    ring = PostgresKeyRing(settings)
    secret = ring.key_for("ada-the-first").secret
    ring.forget("ada-the-first")
    ring.close()
    with psycopg.connect(settings.dsn) as connection:
        [row] = connection.execute("SELECT subject_keys::text FROM subject_keys").fetchall()
        assert "ada-the-first" not in row[0]
        assert secret.hex() not in row[0]
        connection.execute("CHECKPOINT")
        file = "pg_read_binary_file(pg_relation_filepath('subject_keys'))"
        [(content,)] = connection.execute(f"SELECT {file}".encode()).fetchall()
    assert secret not in bytes(content)


def test_a_lost_connection_is_replaced_and_an_absent_server_is_an_outage(
    settings: PostgresSettings, fresh_database: str
) -> None:
    ring = PostgresKeyRing(settings)
    key = ring.key_for("ada")
    with psycopg.connect(fresh_database, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    assert ring.key_for("ada") == key
    ring.close()
    away = PostgresKeyRing(PostgresSettings(dsn="postgresql://127.0.0.1:1/none"))
    with pytest.raises(DatabaseUnavailable):
        away.key("any")


def test_a_database_without_the_table_is_named(fresh_database: str) -> None:
    ring = PostgresKeyRing(PostgresSettings(dsn=fresh_database))
    with pytest.raises(NotMigrated):
        ring.key_for("ada")
    ring.close()


async def test_the_database_is_made_once_beside_the_store(fresh_database: str) -> None:
    server = PostgresSettings(dsn=fresh_database)
    name = f"{fresh_database.rsplit('/', 1)[-1].split('?', maxsplit=1)[0]}_keys"
    settings = PostgresSettings(dsn=beside(fresh_database, name))
    await prepare_key_database(settings, server)
    await prepare_key_database(settings, server)
    ring = PostgresKeyRing(settings)
    assert ring.key_for("ada") == ring.key_for("ada")
    ring.close()
    with psycopg.connect(fresh_database, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
