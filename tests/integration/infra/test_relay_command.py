"""`wundr relay` as an operator runs it."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.integration.infra.wundr_command import command, environment, wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.postgres]

STRANGER = """
INSERT INTO outbox (shard, id, aggregatetype, aggregateid, type, payload, topic, key, traceparent)
VALUES (0, 'e', 'Account', 'a', 'account.opened', 'x', 'nowhere', 'Account/a', '')
"""


def status(log: Path) -> Mapping[str, Any]:
    """What its page says, once its log has said where the page is."""
    found = re.search(r"http://127\.0\.0\.1:\d+/live", log.read_text())
    if found is None:
        return {}
    with urllib.request.urlopen(found[0], timeout=10) as page:
        shown: Mapping[str, Any] = json.load(page)
    return shown


def test_it_migrates_owns_its_shards_tells_what_holds_them_and_ends_on_sigterm(
    kafka_bootstrap: str, fresh_database: str, tmp_path: Path
) -> None:
    log = tmp_path / "log.txt"
    settings = {"WUNDR_KAFKA_BOOTSTRAP": kafka_bootstrap, "WUNDR_POSTGRES_DSN": fresh_database}
    with (
        log.open("wb") as errors,
        subprocess.Popen(
            command("relay", "--shard", "0", "--shard", "2"),
            cwd=tmp_path,
            env=environment(**settings, WUNDR_PROVIDER="external"),
            stderr=errors,
        ) as process,
    ):
        try:
            wait_until(lambda: status(log).get("owned") == [0, 2], "its shards")
            with psycopg.connect(fresh_database) as holding:
                holding.execute(STRANGER)
                wait_until(lambda: status(log)["holder_s"] > 0, "the age of a transaction")
                holding.rollback()
            wait_until(lambda: status(log)["holder_s"] == 0, "the end of a transaction")
            assert (status(log)["status"], status(log)["alarms"]) == ("running", [])
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
