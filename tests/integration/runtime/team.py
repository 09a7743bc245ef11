"""The workers of one app in processes of their own, and what was sent to them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.event import EventFactory
from schemas.events.domain import AnalysisFileProcessed
from schemas.headers import event_headers
from schemas.topics import dead_letter_topic
from streams.kafka.reader import KafkaReader
from streams.kafka.sender import KafkaSender
from streams.records import OutgoingRecord, RawRecord
from streams.settings import KafkaSettings
from tests.integration.forked import ForkedProcess, Program

CATALOG = Catalog.load()
CODEC = Codec(CATALOG)
FACTORY = EventFactory(CATALOG, "test")
Entries = dict[str, dict[str, Any]]
PARTITIONS = 4


async def send_all(sender: KafkaSender, records: Iterable[OutgoingRecord]) -> None:
    """Send and await every acknowledgement."""
    receipts = [await sender.send(record) for record in records]
    for receipt in receipts:
        await receipt


@dataclass
class Team:
    """The workers of one app and what was sent to them."""

    kafka: KafkaSettings
    name: str
    folder: Path
    sender: KafkaSender
    module: str = "tests.integration.runtime.tally"
    workers: dict[str, ForkedProcess] = field(default_factory=dict)
    per_file: Counter[str] = field(default_factory=Counter)
    per_project: Counter[str] = field(default_factory=Counter)

    @property
    def healed(self) -> Path:
        """Ends the outage when it exists."""
        return self.folder / "healed"

    async def start(self, worker: str, *options: str) -> None:
        """Start a worker, or start it again; see the module for its options."""
        folder = self.folder / worker
        folder.mkdir(exist_ok=True)
        (folder / "run.json").unlink(missing_ok=True)
        places = (self.kafka.bootstrap, self.name, str(self.healed), str(folder))
        self.workers[worker] = ForkedProcess(
            Program(
                module=self.module,
                arguments=(*places, *options),
                folder=Path(__file__).parents[3],
                log=folder / "log",
            )
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

    async def ended(self, worker: str) -> int:
        """Wait until a worker has ended by itself; its exit code, below zero for a signal."""
        return await asyncio.wait_for(self.workers.pop(worker).wait(), 40)

    @contextmanager
    def frozen(self, worker: str) -> Iterator[None]:
        """Stop a worker where it stands, and let it go on at the end of the block."""
        process = self.workers.pop(worker)
        os.kill(process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            self.workers[worker] = process
            os.kill(process.pid, signal.SIGCONT)

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

    async def until_shared(self, *workers: str) -> None:
        """Wait until each of these workers owns partitions and is ready."""
        async with asyncio.timeout(40):
            for worker in workers:
                while not await self._has_work(worker):  # noqa: ASYNC110  # it is another process
                    await asyncio.sleep(0.1)

    async def _has_work(self, worker: str) -> bool:
        """Whether the worker is ready and owns some of the group's partitions, not all."""
        _, live = await self.page(worker, "/live")
        if not live or not live["ready"]:
            return False
        events = [
            it
            for it in live["subscriptions"]["main"]["assigned"]
            if it.startswith(f"events-{self.name}/")
        ]
        return 0 < len(events) < PARTITIONS

    async def dead_letters(self) -> list[RawRecord]:
        """All dead letters of the app."""
        reader = KafkaReader(self.kafka, [dead_letter_topic(self.name)])
        await reader.start()
        found = [it for records in (await reader.read()).values() for it in records]
        await reader.close()
        return found
