"""The session's servers are what other tests rely on."""

from __future__ import annotations

import psycopg
import pytest

from infra.topics import is_reachable


@pytest.mark.kafka
def test_the_broker_of_the_session_answers(kafka_bootstrap: str) -> None:
    assert is_reachable(kafka_bootstrap, timeout_s=10.0)


@pytest.mark.postgres
def test_a_fresh_database_is_empty_and_its_own(fresh_database: str, postgres_dsn: str) -> None:
    with psycopg.connect(fresh_database) as connection:
        tables = connection.execute(
            "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
        ).fetchone()
        own_name = connection.execute("SELECT current_database()").fetchone()
    with psycopg.connect(postgres_dsn) as connection:
        server_name = connection.execute("SELECT current_database()").fetchone()
    assert tables == (0,)
    assert own_name != server_name
