"""The pages of processes as an operator starts them, and `wundr status` over all of them."""

from __future__ import annotations

import json
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.integration.infra.wundr_command import command, environment, wait_until, wundr

pytestmark = [pytest.mark.kafka, pytest.mark.postgres]


def states(folder: Path, settings: Mapping[str, str]) -> dict[str, Any]:
    """What `wundr status` says of the processes, by their names without the pid."""
    told = json.loads(wundr(folder, "status", "--json", **settings).stdout)["pages"]
    return {name.rpartition("-")[0]: state for name, state in told.items()}


def page(url: str) -> tuple[int, str]:
    """Status and content."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()


@contextmanager
def running(folder: Path, settings: Mapping[str, str], *words: str) -> Iterator[Path]:
    """A process of the platform; gives its log, which is JSON lines."""
    log = folder / f"{words[0]}.log"
    with (
        log.open("wb") as errors,
        subprocess.Popen(
            command(*words),
            cwd=folder,
            env=environment(**settings),
            stdout=subprocess.DEVNULL,
            stderr=errors,
        ) as process,
    ):
        try:
            yield log
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0


def test_every_process_tells_whether_it_is_ready_and_status_asks_them_all(
    kafka_bootstrap: str, fresh_database: str, tmp_path: Path
) -> None:
    settings = {
        "WUNDR_KAFKA_BOOTSTRAP": kafka_bootstrap,
        "WUNDR_POSTGRES_DSN": fresh_database,
        "WUNDR_PROVIDER": "external",
    }
    assert wundr(tmp_path, "topics", "apply", **settings).returncode == 0
    with (
        running(tmp_path, settings, "worker", "platform") as worker_log,
        running(tmp_path, settings, "sink"),
        running(tmp_path, settings, "relay"),
        running(tmp_path, settings, "gateway", "--development"),
    ):
        names = {"worker-platform", "sink", "relay", "gateway"}
        wait_until(
            lambda: (
                {name for name, it in states(tmp_path, settings).items() if it["ready"]} == names
            ),
            "every process is ready",
        )
        given = {
            "worker-platform": "wundr_assigned_partitions",
            "sink": "wundr_sink_stored_rows_total",
            "relay": "wundr_relay_shard_owned",
            "gateway": "wundr_gateway_clients",
        }
        for name, state in states(tmp_path, settings).items():
            status, metrics = page(f"{state['url']}/metrics")
            assert (status, f"\n{given[name]}" in metrics) == (200, True), name
            assert "\nwundr_ready 1.0" in metrics
            assert page(f"{state['url']}/live")[0] == 200
        shown = wundr(tmp_path, "status", **settings).stdout
        assert shown.count(" ready  http://127.0.0.1:") == len(names)
        for line in worker_log.read_text().splitlines():
            json.loads(line)
    assert states(tmp_path, settings) == {}, "who has ended leaves no note"
