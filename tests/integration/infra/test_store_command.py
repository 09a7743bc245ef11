"""`wundr store` as an operator runs it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from tests.integration.infra.wundr_command import wundr

pytestmark = [pytest.mark.kafka, pytest.mark.postgres]

Run = Callable[..., "subprocess.CompletedProcess[str]"]

STRANGER = """
INSERT INTO events (
    event_id, type, category, priority, schema_version, schema_id, "timestamp", source, framed
) VALUES ('stranger', 'a.b', 'domain', 3, '1.0.0', 1, now(), 'tests', 'x')
"""


@pytest.fixture
def run(kafka_bootstrap: str, fresh_database: str, working_folder: Path) -> Run:
    settings = {
        "WUNDR_PROVIDER": "external",
        "WUNDR_KAFKA_BOOTSTRAP": kafka_bootstrap,
        "WUNDR_POSTGRES_DSN": fresh_database,
        "WUNDR_POSTGRES_ROLES": "true",
    }
    assert wundr(working_folder, "topics", "apply", **settings).returncode == 0
    return lambda *words: wundr(working_folder, *words, **settings)


def test_a_restored_store_agrees_and_a_row_that_kafka_lacks_fails_the_audit(
    run: Run, fresh_database: str
) -> None:
    restored = run("store", "restore", "--json")
    assert restored.returncode == 0, restored.stderr
    done = json.loads(restored.stdout)
    assert (done["refused"], done["to_rebuild"]) == (0, [])

    agreeing = run("store", "audit", "--wait", "0", "--json")
    assert agreeing.returncode == 0, agreeing.stderr
    report = json.loads(agreeing.stdout)
    assert list(report) == [
        *("events", "holes", "duplicates", "disorder", "version_gaps"),
        *("columns", "sampled", "projections", "seconds"),
    ]
    assert report["holes"] == 0

    with psycopg.connect(fresh_database) as connection:
        connection.execute(STRANGER)
    failing = run("store", "audit", "--wait", "0")
    assert failing.returncode == 1
    assert "holes: stranger: in Postgres alone" in failing.stdout
    assert "they do not agree" in failing.stdout


def test_a_restore_refuses_while_events_wait_for_the_relay(run: Run, fresh_database: str) -> None:
    assert run("store", "restore").returncode == 0
    with psycopg.connect(fresh_database) as connection:
        connection.execute("DROP TABLE IF EXISTS outbox")
        connection.execute("CREATE TABLE outbox AS SELECT 'waiting' AS id")
    refused = run("store", "restore")
    assert refused.returncode == 1
    assert "1 events wait in the outbox" in refused.stderr
    assert "wundr relay" in refused.stderr
