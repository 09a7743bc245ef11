"""A stack keeps data and ports, and leaves no server behind, whatever happens to its parent."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg
import pytest

from infra.stack.endpoints import Endpoints
from infra.stack.state import read_state
from infra.topics import topic_ids
from schemas.topics import STORE_EVENTS
from tests.integration.infra.wundr_command import (
    command,
    environment,
    servers,
    wait_until,
    wundr,
)

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.slow]


def endpoints_of(folder: Path) -> Endpoints:
    endpoints = read_state(folder / ".wundr").endpoints
    assert endpoints is not None
    return endpoints


def brokers(folder: Path) -> list[psutil.Process]:
    return [process for process in servers(folder) if "kafka.Kafka" in process.info["cmdline"]]


@contextmanager
def starting(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`wundr up`, caught when its broker runs but is not ready yet."""
    with subprocess.Popen(
        # As in a terminal: where tests run in the background, SIGINT may be ignored.
        ("env", "--default-signal=INT", *command("up")),
        cwd=folder,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as parent:
        wait_until(lambda: bool(brokers(folder)), "a broker")
        yield parent
        parent.wait()


def test_data_and_ports_survive_a_restart(working_folder: Path) -> None:
    assert wundr(working_folder, "up").returncode == 0
    before = endpoints_of(working_folder)
    topic_id = topic_ids(before.kafka_bootstrap, [STORE_EVENTS])
    with psycopg.connect(before.postgres_dsn) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")

    assert wundr(working_folder, "down").returncode == 0
    assert servers(working_folder) == []
    assert wundr(working_folder, "status").returncode == 1

    assert wundr(working_folder, "up").returncode == 0
    after = endpoints_of(working_folder)
    assert after.kafka_bootstrap == before.kafka_bootstrap
    assert topic_ids(after.kafka_bootstrap, [STORE_EVENTS]) == topic_id
    with psycopg.connect(after.postgres_dsn) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchall() == [(42,)]
    status = json.loads(wundr(working_folder, "status", "--json").stdout)
    assert status["kafka"] == before.kafka_bootstrap
    assert {it["state"] for it in status["processes"].values()} == {"ours"}


def test_a_second_start_takes_over_what_runs(working_folder: Path) -> None:
    wundr(working_folder, "up")
    running = {process.pid for process in brokers(working_folder)}
    assert wundr(working_folder, "up").returncode == 0
    assert {process.pid for process in brokers(working_folder)} == running
    # Also when nobody remembers that it runs.
    (working_folder / ".wundr" / "stack.json").unlink()
    assert wundr(working_folder, "up").returncode == 0
    assert len(brokers(working_folder)) == 1
    assert wundr(working_folder, "down").returncode == 0
    assert servers(working_folder) == []


def test_a_start_that_is_killed_leaves_nothing_once_the_next_start_is_over(
    working_folder: Path,
) -> None:
    with starting(working_folder) as parent:
        parent.kill()
    assert wundr(working_folder, "up").returncode == 0
    assert len(brokers(working_folder)) == 1
    assert json.loads(wundr(working_folder, "status", "--json").stdout)["running"] is True
    assert wundr(working_folder, "down").returncode == 0
    assert servers(working_folder) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_start_stops_what_it_started(
    working_folder: Path, number: signal.Signals
) -> None:
    with starting(working_folder) as parent:
        parent.send_signal(number)
        assert parent.wait() == 130
    assert servers(working_folder) == []


def test_servers_that_were_killed_are_noticed_and_started_again(working_folder: Path) -> None:
    wundr(working_folder, "up")
    topic_id = topic_ids(endpoints_of(working_folder).kafka_bootstrap, [STORE_EVENTS])
    for process in servers(working_folder):
        process.kill()
    wait_until(lambda: not servers(working_folder), "the end of the killed servers")
    assert wundr(working_folder, "status").returncode == 1
    doctor = wundr(working_folder, "doctor")
    assert doctor.returncode == 1
    assert "recorded but not running" in doctor.stdout

    assert wundr(working_folder, "up").returncode == 0
    assert topic_ids(endpoints_of(working_folder).kafka_bootstrap, [STORE_EVENTS]) == topic_id
    healthy = wundr(working_folder, "doctor")
    assert healthy.returncode == 0, healthy.stdout


def test_a_port_that_was_taken_meanwhile_is_replaced_and_said(working_folder: Path) -> None:
    wundr(working_folder, "up")
    taken = int(endpoints_of(working_folder).kafka_bootstrap.split(":")[1])
    wundr(working_folder, "down")
    with socket.create_server(("127.0.0.1", taken)):
        again = wundr(working_folder, "up")
    assert again.returncode == 0
    assert not endpoints_of(working_folder).kafka_bootstrap.endswith(f":{taken}")
    assert str(taken) in again.stderr


def test_a_port_that_the_settings_ask_for_is_never_replaced(working_folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        refused = wundr(working_folder, "up", WUNDR_KAFKA_PORT=str(port))
    assert refused.returncode == 1
    assert f"Port {port} (WUNDR_KAFKA_PORT) is in use" in refused.stderr
    assert servers(working_folder) == []
