"""`wundr demo` on real parts: whole numbers, also when a process is killed in the middle."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import psycopg
import pytest

from connectors.audit import Kind
from examples.analysis.plan import plan
from tests.acceptance.demo_rig import (
    BROKEN,
    UNREADABLE,
    assert_whole,
    database_of,
    demo,
    living_in,
)
from tests.integration.infra.wundr_command import wundr

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.slow]

FILE_EVENTS = """
SELECT schema_version, data ->> 'path', data ->> 'error' FROM events
WHERE type = 'analysis.file.processed' AND correlation_id = %s
"""

HISTORIES = """
SELECT string_agg(
    aggregate_version || ' ' || type, ', ' ORDER BY aggregate_version
) FROM events
WHERE aggregate_type = 'Analysis' AND correlation_id = %s
GROUP BY aggregate_id
"""

VICTIMS = {
    "workers": (("worker-1.json",), ("platform.json",)),
    "edges": (("sink",), ("relay",), ("gateway",)),
}


def assert_audited(folder: Path) -> None:
    """Kafka, PostgreSQL and the projections agree on every event of every run in this folder."""
    audited = wundr(folder, "store", "audit", "--json")
    assert audited.returncode == 0, audited.stdout + audited.stderr
    report = json.loads(audited.stdout)
    assert report["events"] > 0
    assert [report[kind] for kind in Kind] == [0] * len(Kind), report


def test_everything_arrives_everywhere_once(demo_folder: Path, source: Path) -> None:
    with demo(demo_folder, source, "--once") as running:
        summary = running.summary()
        assert running.process.wait() == 0
        assert running.process.stdout is not None
        assert running.process.stdout.read() == "", "one line, nothing else"
    assert_whole(summary)
    assert not {"poisoned", "parked", "redriven"} & summary.keys(), "those are of --chaos"
    with psycopg.connect(database_of(demo_folder)) as connection:
        found = connection.execute(FILE_EVENTS, (running.run.name,)).fetchall()
    assert len(found) == summary["files"]
    assert {version for version, _, _ in found} == {"1.0.0", "1.1.0"}
    errors = {path: error for _, path, error in found if error is not None}
    assert sorted(errors) == [BROKEN, UNREADABLE]
    assert errors[BROKEN].startswith("SyntaxError: ")
    assert errors[UNREADABLE].startswith("OSError: ")
    with psycopg.connect(database_of(demo_folder)) as connection:
        histories = connection.execute(HISTORIES, (running.run.name,)).fetchall()
    assert len(histories) == len(plan(source, running.run.name))
    assert {history for (history,) in histories} == {"1 analysis.started, 2 analysis.completed"}
    assert_audited(demo_folder)


@pytest.mark.parametrize("victims", VICTIMS)
def test_processes_that_are_killed_in_the_middle_change_no_number(
    demo_folder: Path, source: Path, victims: str
) -> None:
    with demo(demo_folder, source, "--once") as running:
        running.wait_for_events(30)
        for process in [running.child(*victim) for victim in VICTIMS[victims]]:
            process.kill()
        acknowledged_then = running.acknowledged()
        summary = running.summary()
        assert running.process.wait() == 0
    assert_whole(summary)
    assert_audited(demo_folder)
    assert summary["acknowledged"] > acknowledged_then, "they were to be killed in the middle"
    restarts = running.own_log().count("process ended, starting again")
    assert restarts >= len(VICTIMS[victims])


def test_a_second_demonstration_in_the_same_folder_is_refused(
    demo_folder: Path, source: Path
) -> None:
    with demo(demo_folder, source) as running:
        running.wait_for_events(1)
        refused = wundr(demo_folder, "demo", "--path", str(source))
    assert refused.returncode == 1
    assert refused.stderr.startswith("wundr: an application already runs in ")
    assert str(demo_folder) in refused.stderr
    assert "next:" in refused.stderr


def test_a_folder_that_does_not_exist_is_refused_before_anything_starts(
    working_folder: Path,
) -> None:
    refused = wundr(working_folder, "demo", "--path", "nowhere")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == (
        "wundr: nowhere is not a folder\n"
        "  next:  Name an existing folder: wundr demo --path FOLDER\n"
    )
    assert living_in(working_folder) == []


def test_a_folder_without_source_files_is_refused_before_anything_starts(
    working_folder: Path,
) -> None:
    (working_folder / "notes").mkdir()
    refused = wundr(working_folder, "demo", "--path", "notes")
    assert refused.returncode == 1
    assert refused.stderr == (
        "wundr: notes holds no .py files\n"
        "  next:  Name a folder with .py files: wundr demo --path FOLDER\n"
    )
    assert living_in(working_folder) == []


def test_a_gateway_port_that_is_taken_is_refused_before_anything_starts(
    working_folder: Path,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        refused = wundr(working_folder, "demo", WUNDR_GATEWAY_PORT=str(port))
    assert refused.returncode == 1
    assert f"Port {port} (WUNDR_GATEWAY_PORT) is in use" in refused.stderr
    assert living_in(working_folder) == []
