"""Whole workers in processes of their own: killed, added, restarted; every total stays exact."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from infra.topics import apply, plan
from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.event import EventFactory
from schemas.events.domain import AnalysisFileProcessed
from schemas.headers import event_headers
from schemas.topics import TopicSpec, dead_letter_topic, platform_topics
from streams.dead_letter import HANDLER, REASON, RETRY_COUNT, SUBSCRIPTION
from streams.kafka.reader import KafkaReader
from streams.kafka.sender import KafkaSender
from streams.records import OutgoingRecord, RawRecord
from streams.settings import KafkaSettings
from tests.integration.runtime.conftest import PARTITIONS, send_all
from tests.integration.runtime.tally import OUTAGE, POISON, tally_app

pytestmark = pytest.mark.kafka

CATALOG = Catalog.load()
CODEC = Codec(CATALOG)
FACTORY = EventFactory(CATALOG, "test")
Entries = dict[str, dict[str, Any]]


@dataclass
class Team:
    """The workers of one app and what was sent to them."""

    kafka: KafkaSettings
    name: str
    folder: Path
    sender: KafkaSender
    workers: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)
    per_file: Counter[str] = field(default_factory=Counter)
    per_project: Counter[str] = field(default_factory=Counter)

    @property
    def healed(self) -> Path:
        """Ends the outage when it exists."""
        return self.folder / "healed"

    async def start(self, worker: str) -> None:
        """Start a worker, or start it again."""
        folder = self.folder / worker
        folder.mkdir(exist_ok=True)
        (folder / "run.json").unlink(missing_ok=True)
        with (folder / "log").open("ab") as output:
            self.workers[worker] = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "tests.integration.runtime.tally",
                *(self.kafka.bootstrap, self.name, str(self.healed), str(folder)),
                cwd=Path(__file__).parents[3],
                stdout=output,
                stderr=asyncio.subprocess.STDOUT,
            )

    async def stop(self, worker: str) -> int:
        """Ask a worker to drain; returns its exit code."""
        process = self.workers.pop(worker)
        process.terminate()
        return await asyncio.wait_for(process.wait(), 30)

    async def kill(self, worker: str) -> None:
        """End a worker without a word."""
        process = self.workers.pop(worker)
        os.kill(process.pid, signal.SIGKILL)
        await process.wait()

    async def send(self, files: int, error: str | None = None, project: str = "") -> None:
        """One event for each of so many files, all in one topic."""
        records = []
        for number in range(files):
            path, belongs_to = f"file-{number}", project or f"project-{number % 7}"
            event = FACTORY.create(
                AnalysisFileProcessed(
                    analysis_id="a",
                    project_id=belongs_to,
                    path=path,
                    lines=2,
                    functions=0,
                    classes=0,
                    error=error,
                ),
                aggregate_id=path,
            )
            records.append(
                OutgoingRecord(
                    topic=f"events-{self.name}",
                    key=event.key.encode(),
                    value=CODEC.encode(event),
                    headers=event_headers(event),
                )
            )
            self.per_file[event.key] += 1
            self.per_project[belongs_to] += 1
        await send_all(self.sender, records)

    @asynccontextmanager
    async def under_load(self) -> AsyncIterator[None]:
        """Events of 100 files are sent over and over until the block ends."""
        enough = asyncio.Event()

        async def load() -> None:
            while not enough.is_set():
                await self.send(100)
                with suppress(TimeoutError):
                    await asyncio.wait_for(enough.wait(), 0.2)

        sending = asyncio.create_task(load())
        try:
            yield
        finally:
            enough.set()
            await sending

    async def page(self, worker: str, path: str) -> tuple[int, Any]:
        """Status and content of a page; 0 while the worker is not there yet."""
        run_file = self.folder / worker / "run.json"
        if not run_file.exists():
            return 0, None
        port = json.loads(run_file.read_text())["port"]
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"http://127.0.0.1:{port}{path}") as response,
            ):
                return response.status, await response.json()
        except aiohttp.ClientError:
            return 0, None

    async def table(self, worker: str, name: str) -> Entries:
        """The entries that a worker owns; empty while it recovers."""
        status, content = await self.page(worker, f"/tables/{name}")
        return {it["key"]: it["state"] for it in content["entries"]} if status == 200 else {}

    async def counts(self, name: str) -> Counter[str]:
        """The events per key over all workers; a key on two workers fails the test."""
        total: Counter[str] = Counter()
        for worker in self.workers:
            entries = await self.table(worker, name)
            assert total.keys().isdisjoint(entries), "a key is shown by two workers"
            total.update({key: state["events"] for key, state in entries.items()})
        return total

    async def until_exact(self, deadline_s: float = 60.0) -> None:
        """Wait until the tables hold what was sent, each event once."""
        shown: list[Counter[str]] = []
        try:
            async with asyncio.timeout(deadline_s):
                while shown != [self.per_file, self.per_project]:
                    await asyncio.sleep(0.1)
                    shown = [await self.counts(name) for name in ("per-file", "per-project")]
                    assert all(shown[1][key] <= count for key, count in self.per_project.items()), (
                        "counted twice"
                    )
        except TimeoutError:
            pytest.fail(f"sent {self.per_project}, tables show {shown[1:]}")

    async def until_live(self, worker: str, what: str) -> dict[str, Any]:
        """Wait until a part of `/live` is true."""
        async with asyncio.timeout(40):
            while True:
                _, live = await self.page(worker, "/live")
                if live and live[what]:
                    return dict(live)
                await asyncio.sleep(0.1)

    async def dead_letters(self) -> list[RawRecord]:
        """All dead letters of the app."""
        reader = KafkaReader(self.kafka, [dead_letter_topic(self.name)])
        await reader.start()
        found = [it for records in (await reader.read()).values() for it in records]
        await reader.close()
        return found


@pytest.fixture
async def team(
    kafka: KafkaSettings, unique: str, tmp_path: Path, sender: KafkaSender
) -> AsyncIterator[Team]:
    """A team without workers, its topics made; whatever still runs is killed afterwards."""
    app = tally_app(unique, tmp_path)
    specs = [
        *platform_topics(CATALOG, PARTITIONS),
        *app.topic_specs(PARTITIONS),
        TopicSpec(name=app.topic, partitions=PARTITIONS, config={}, why="a test"),
    ]
    await asyncio.to_thread(lambda: apply(kafka.bootstrap, plan(kafka.bootstrap, specs)))
    team = Team(kafka=kafka, name=unique, folder=tmp_path, sender=sender)
    yield team
    for worker in list(team.workers):
        await team.kill(worker)


async def test_totals_stay_exact_when_one_of_two_workers_is_killed_under_load(team: Team) -> None:
    await team.start("one")
    await team.start("two")
    async with team.under_load():
        await team.until_live("one", "processed")
        await team.until_live("two", "processed")
        await team.kill("two")
        await team.start("two")
        await team.until_live("two", "processed")
    await team.until_exact()
    for worker in ("one", "two"):
        assert await team.table(worker, "per-file")


async def test_totals_stay_exact_when_a_worker_joins_under_load_and_pages_know_their_owner(
    team: Team,
) -> None:
    await team.start("one")
    async with team.under_load():
        await team.until_live("one", "processed")
        await team.start("two")
        await team.until_live("two", "processed")
    await team.until_exact()
    key = next(iter(await team.table("one", "per-file")))
    status, entry = await team.page("one", f"/tables/per-file/{key}")
    assert (status, entry["key"], entry["state"]["events"]) == (200, key, team.per_file[key])
    status, refusal = await team.page("two", f"/tables/per-file/{key}")
    assert (status, refusal["code"]) == (421, "not_owner")
    assert (await team.page("one", "/tables/nonsense"))[0] == 404


async def test_a_restarted_worker_recovers_the_state_that_it_had(team: Team) -> None:
    await team.start("one")
    await team.send(100)
    await team.send(100)
    await team.until_exact()
    before = [await team.table("one", name) for name in ("per-file", "per-project")]
    assert await team.stop("one") == 0
    await team.start("one")
    await team.until_live("one", "ready")
    assert [await team.table("one", name) for name in ("per-file", "per-project")] == before


async def test_an_event_that_cannot_be_handled_becomes_a_dead_letter_and_others_go_on(
    team: Team,
) -> None:
    await team.start("one")
    await team.send(1, error=POISON)
    await team.send(20)
    await team.until_exact()
    (letter,) = await team.dead_letters()
    assert letter.header(HANDLER) == b"look"
    assert letter.header(REASON) == b"ValueError"
    assert letter.header(RETRY_COUNT) == b"3"
    assert letter.header(SUBSCRIPTION) == f"{team.name}.main".encode()
    assert CODEC.view(letter.value or b"").data.error == POISON


async def test_an_outage_pauses_the_subscription_and_makes_no_dead_letter(team: Team) -> None:
    await team.start("one")
    await team.send(4, error=OUTAGE)
    live = await team.until_live("one", "pause")
    assert live["pause"]["waiting_for"] == "handler look"
    assert live["unfinished"]
    team.healed.touch()
    await team.until_exact()
    assert await team.dead_letters() == []


async def test_bytes_that_are_no_event_become_a_dead_letter_with_their_reason(team: Team) -> None:
    junk = OutgoingRecord(topic=f"events-{team.name}", key=b"k", value=b"junk")
    await send_all(team.sender, [junk])
    await team.start("one")
    await team.send(5)
    await team.until_exact()
    (letter,) = await team.dead_letters()
    assert (letter.value, letter.header(REASON)) == (b"junk", b"schemas.not_an_event")


async def test_a_start_without_a_broker_ends_with_a_sentence_in_a_bounded_time(
    team: Team, unused_tcp_port: int
) -> None:
    team.kafka = replace(team.kafka, bootstrap=f"127.0.0.1:{unused_tcp_port}")
    await team.start("one")
    code = await asyncio.wait_for(team.workers.pop("one").wait(), 40)
    assert code == 1
    assert "BrokerUnavailable" in (team.folder / "one" / "log").read_text()
