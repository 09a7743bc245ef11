"""The commands on real servers, and projections that are killed on the way."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient

from infra.topics import apply, plan
from schemas.topics import platform_topics
from streams.kafka.reader import KafkaReader
from streams.settings import KafkaSettings
from tests.integration.infra.wundr_command import command, environment
from tests.integration.projections.stored import (
    CATALOG,
    CODEC,
    PARTITIONS,
    PER_PROJECT,
    POISON,
    Store,
    files,
    folded,
)

pytestmark = [pytest.mark.kafka, pytest.mark.postgres]

APP = "tests.integration.projections.team_app"
KEPT = ("per-file", "per-project")


class Installation:
    """A folder whose commands use the session's Kafka and the test's database."""

    def __init__(self, folder: Path, kafka: str, dsn: str) -> None:
        self.kafka = KafkaSettings(bootstrap=kafka)
        self._folder = folder
        self._environment = environment(
            WUNDR_PROVIDER="external", WUNDR_KAFKA_BOOTSTRAP=kafka, WUNDR_POSTGRES_DSN=dsn
        )

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """Start a command."""
        with (self._folder / "log").open("ab") as output:
            return subprocess.Popen(
                command(*words), cwd=self._folder, env=self._environment, stderr=output
            )

    async def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return await asyncio.to_thread(
            lambda: subprocess.run(
                command(*words),
                cwd=self._folder,
                env=self._environment,
                capture_output=True,
                text=True,
                check=False,
                timeout=60,
            )
        )

    async def told(self, *words: str) -> list[Any]:
        """The JSON lines that a command prints."""
        ended = await self.run(*words, "--json")
        assert ended.returncode == 0, ended.stderr
        return [json.loads(line) for line in ended.stdout.splitlines()]


@pytest.fixture
def installation(tmp_path: Path, kafka_bootstrap: str, fresh_database: str) -> Installation:
    return Installation(tmp_path, kafka_bootstrap, fresh_database)


async def groups(bootstrap: str) -> set[str]:
    """The names of all consumer groups."""
    # The client is named: one that is freed takes its answer along, and the future waits for ever.
    client = AdminClient({"bootstrap.servers": bootstrap})
    found = await asyncio.to_thread(client.list_consumer_groups().result, 30)
    return {group.group_id for group in found.valid}


async def rows(store: Store, name: str) -> Mapping[str, Any]:
    """The live rows of a projection; none while it has no version."""
    found = await store.edges.store.find(name, "commanded")
    if not found:
        return {}
    versions = await store.edges.store.versions("commanded", name)
    live = next(it for it in versions if it.version == found[0].live)
    return await store.rows_of(live.version_id)


async def until_folded(store: Store, name: str, events: int) -> None:
    async with asyncio.timeout(60):
        while sum(it["files"] for it in (await rows(store, name)).values()) != events:  # noqa: ASYNC110  # a process
            await asyncio.sleep(0.05)


async def ended(process: subprocess.Popen[bytes]) -> int:
    return await asyncio.to_thread(process.wait, 30)


@pytest.mark.slow
async def test_killed_again_and_again_under_load_rows_equal_the_fold(
    store: Store, installation: Installation
) -> None:
    events = files(2_000)
    await store.put(events)
    process = installation.start("project", APP)
    try:
        for round_ in range(3):
            await until_folded(store, "per-project", len(events))
            more = files(1_500, first=len(events))
            for begin in range(0, 1_500, 300):
                await store.put(more[begin : begin + 300])
            events += more
            process.kill()
            await ended(process)
            process = installation.start("project", APP)
            assert round_ < 3
        await until_folded(store, "per-project", len(events))
        assert await rows(store, "per-project") == folded(PER_PROJECT, events)
        process.terminate()
        assert await ended(process) == 0
    finally:
        process.kill()


@pytest.mark.slow
async def test_a_projection_is_listed_read_rebuilt_and_taken_back(
    store: Store, installation: Installation
) -> None:
    events = files(300)
    await store.put(events)
    process = installation.start("project", APP)
    try:
        for name in KEPT:
            await until_folded(store, name, 300)
        (report,) = await installation.told("projections", "rebuild", "per-project")
        assert (report["before"], report["version"], report["differences"]) == (1, 2, 0)
        assert (report["events"], report["rows"], report["switched"]) == (300, 2, True)
        await store.put(files(100, first=300))
        events += files(100, first=300)
        await until_folded(store, "per-project", 400)
        (row,) = await installation.told("projections", "get", "per-project", "p1")
        assert row["state"] == folded(PER_PROJECT, events)["p1"]
        assert (row["version"], row["events"]) == (2, 200)
        (past,) = await installation.told("projections", "get", "per-project", "p1", "--at", "3")
        assert past["events"] == 3
        (from_table,) = await installation.told(
            "projections", "get", "table", "SourceFile/f1.py", "--app", APP
        )
        assert from_table["events"] == 8
        (back,) = await installation.told("projections", "rebuild", "per-project", "--back")
        assert (back["live"], back["previous"]) == (1, 2)
        await until_folded(store, "per-project", 400)
        listed = await installation.told("projections", "list", "--app", APP)
        assert [(it["name"], it.get("version"), it["state"]) for it in listed] == [
            ("per-file", 1, "live"),
            ("per-project", 1, "live"),
            ("per-project", 2, "previous"),
            ("table", None, "table"),
        ]
    finally:
        process.terminate()
        assert await ended(process) == 0


async def test_what_cannot_be_done_is_one_sentence_and_the_next_step(
    store: Store, installation: Installation
) -> None:
    await store.put([*files(20), *files(1, first=POISON)])
    for words, reason, remedy in (
        (("rebuild", "per-project", "--app", APP), "cannot be folded", "Correct the fold"),
        (("rebuild", "table", "--app", APP), "workers' tables", "--rebuild-tables"),
        (("rebuild", "nobody", "--app", APP), "no projection 'nobody'", "projections list"),
        (("get", "per-file", "SourceFile/x", "--app", APP), "no row", "Check the key"),
    ):
        failed = await installation.run("projections", *words)
        assert failed.returncode == 1, failed.stdout
        assert reason in failed.stderr
        assert remedy in failed.stderr
    wrong = await installation.run("projections", "get", "per-file", "k", "--at", "soon")
    assert wrong.returncode == 2


@pytest.mark.slow
async def test_a_replay_shows_what_is_new_and_then_sends_it(
    store: Store, installation: Installation
) -> None:
    specs = platform_topics(CATALOG, PARTITIONS)
    bootstrap = installation.kafka.bootstrap
    await asyncio.to_thread(lambda: apply(bootstrap, plan(bootstrap, specs)))
    events = files(30)
    await store.put(events)
    before = await groups(bootstrap)
    (dry,) = await installation.told("replay", APP, "notify", "--dry-run")
    assert (dry["handled"], dry["emitted"]["new"], dry["published"]) == (30, 30, 0)
    (real,) = await installation.told("replay", APP, "notify", "--key", events[3].key)
    assert (real["handled"], real["published"]) == (1, 1)
    reader = KafkaReader(installation.kafka, CATALOG.topics_for(["notification.sent"]))
    await reader.start()
    causes = set()
    async with asyncio.timeout(20):
        while events[3].id not in causes:
            for records in (await reader.read()).values():
                causes |= {CODEC.view(record.value or b"").causation_id for record in records}
    await reader.close()
    assert await groups(bootstrap) == before, "a replay is no member of anybody's group"
    refused = await installation.run("replay", APP, "nobody")
    assert refused.returncode == 1
    assert "only notify" in refused.stderr
