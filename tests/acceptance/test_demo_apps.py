"""Two team apps side by side, and a consumer of an older release than its producers."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import psycopg
import pytest

from examples.analysis.demo.places import ends_of
from examples.analysis.demo.waiting import until
from examples.analysis.demo.workers import Workers
from infra.stack.endpoints import Endpoints
from infra.supervisor import ProcessPlan
from infra.topics import apply, plan
from schemas.broadcast import rooms
from schemas.topics import dead_letter_topic
from tests.acceptance.auditor_app import app as auditor
from tests.acceptance.driven_demo import DEADLINE_S, DrivenDemo, driven_demo
from tests.integration.infra.wundr_command import ROOT, command, environment, wundr

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(60)]

NAME = "auditor"
FILE_EVENTS = "analysis.file.processed"
NEW_VERSION = "1.1.0"

Seen = dict[str, int]


@pytest.fixture
def fresh_stack(working_folder: Path) -> Path:
    """A stack without history: a new app begins at the beginning of the log."""
    assert wundr(working_folder, "up").returncode == 0
    return working_folder


@pytest.fixture
def older_release(tmp_path: Path) -> Path:
    """The schemas as they were before the second version of a type: files, lock and classes."""
    shutil.copytree(ROOT / "schemas", tmp_path / "schemas")
    (tmp_path / "schemas/avro/domain" / FILE_EVENTS / f"{NEW_VERSION}.avsc").unlink()
    (tmp_path / "schemas/lock.json").unlink()
    python(tmp_path, "-m", "infra", "schemas", "generate")
    return tmp_path


def python(release: Path, *words: str) -> str:
    """Run Python with the schemas of a release; what it prints."""
    done = subprocess.run(
        [sys.executable, *words],
        env=environment(PYTHONPATH=python_path(release)),
        cwd=release,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def python_path(release: Path) -> str:
    return f"{release}:{ROOT}"


@asynccontextmanager
async def auditing(demo: DrivenDemo, release: Path = ROOT) -> AsyncIterator[Workers]:
    """A worker of the second app beside the demonstration's, with the schemas of a release."""
    folders = demo.settings.folders
    bootstrap = demo.settings.endpoints.kafka_bootstrap
    apply(bootstrap, plan(bootstrap, auditor.topic_specs(demo.settings.kafka.partitions)))
    words = ["worker", "tests.acceptance.auditor_app", "--run-file", str(folders.run_file(NAME))]
    demo.supervisor.start(
        ProcessPlan(
            name=NAME,
            command=command(*words, "--journal", str(folders.journal(NAME))),
            log_file=folders.log(NAME),
            environment={**demo.settings.environment, "PYTHONPATH": python_path(release)},
        )
    )
    async with aiohttp.ClientSession() as http:
        workers = Workers(http, folders, [NAME])
        await until(workers.are_ready, within_s=DEADLINE_S, every_s=0.1, what="no second app")
        yield workers


async def seen_events(workers: Workers, total: int) -> Seen:
    """What the second app has counted, all projects together, once it has counted this much."""
    seen: Seen = {}

    async def has_seen_all() -> bool:
        seen.clear()
        for state in (await workers.tables(["audited"]))["audited"].values():
            for name, count in state.items():
                seen[name] = seen.get(name, 0) + count
        return sum(count for name, count in seen.items() if name != "lines") >= total

    await until(has_seen_all, within_s=DEADLINE_S, every_s=0.1, what=f"{total} events not seen")
    return seen


def notifications(endpoints: Endpoints, run_id: str) -> Seen:
    """How many notifications each app has sent."""
    with psycopg.connect(endpoints.postgres_dsn) as connection:
        rows = connection.execute(
            "SELECT source, count(*) FROM events"
            " WHERE type = 'notification.sent' AND correlation_id = %s GROUP BY source",
            (run_id,),
        ).fetchall()
    return dict(rows)


async def test_each_app_handles_each_event_once_and_each_broadcast_comes_once(
    fresh_stack: Path, source: Path
) -> None:
    async with driven_demo(fresh_stack, source) as demo, auditing(demo) as second_app:
        summary = await demo.run()
        packages = len(demo.settings.plans)
        seen = await seen_events(second_app, summary.files + 2 * packages)
        expected_repeats = sum(
            max(0, len(set(rooms(event, kind)) & set(demo.settings.rooms)) - 1)
            for event in demo.at.journals.events.values()
            for kind in [demo.at.application.catalog.get(event.type)]
        )
        shown = Counter(demo.at.screen.shown)
    assert summary.is_whole
    by_type = Counter[str]()
    for name, count in seen.items():
        by_type[name.split(" ")[0]] += count
    assert by_type["analysis.started"] == by_type["analysis.completed"] == packages
    assert by_type[FILE_EVENTS] == summary.files
    sent = notifications(demo.settings.endpoints, demo.settings.folders.run_id)
    assert sent == {"analysis": packages, "auditor": packages}
    assert set(shown.values()) == {1}
    assert len(shown) == summary.expected_delivered
    assert summary.redelivered == expected_repeats, "an event in two joined rooms comes twice"


async def test_a_consumer_of_an_older_release_reads_newer_events(
    fresh_stack: Path, source: Path, older_release: Path
) -> None:
    known = python(
        older_release,
        "-c",
        f"from schemas.catalog import Catalog;print(*Catalog.load().get('{FILE_EVENTS}').versions)",
    )
    assert known == "1.0.0"
    async with driven_demo(fresh_stack, source) as demo, auditing(demo, older_release) as older:
        summary = await demo.run()
        seen = await seen_events(older, summary.files + 2 * len(demo.settings.plans))
        file_events = [
            event for event in demo.at.journals.events.values() if event.type == FILE_EVENTS
        ]
        dead = await ends_of(demo.settings.kafka, [dead_letter_topic(NAME)])
    assert summary.is_whole
    versions = Counter(event.version for event in file_events)
    assert versions[NEW_VERSION] > 0
    assert {version: seen[f"{FILE_EVENTS} {version}"] for version in versions} == versions
    assert seen["lines"] == sum(event.data.lines for event in file_events)
    assert sum(dead.values()) == 0
