"""Why the platform brings its own runtime: stock Faust loses an event by kill -9, ours does not."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions
from confluent_kafka.admin import AdminClient

from infra.topics import apply, plan
from schemas.events.domain import AnalysisFileProcessed
from schemas.headers import event_headers
from schemas.topics import platform_topics
from streams.app import MAIN
from streams.kafka.sender import KafkaSender
from streams.records import OutgoingRecord
from streams.settings import KafkaSettings
from tests.integration.runtime.conftest import make_failure_topics, until
from tests.integration.runtime.stuck import STUCK, Runtime, Work
from tests.integration.runtime.team import CATALOG, CODEC, FACTORY, PARTITIONS, send_all

pytestmark = [pytest.mark.kafka, pytest.mark.slow]
MakeTopics = Callable[..., Awaitable[None]]

FIRST_SIX = range(6)
TICK = 6
"""In another partition, sent once event 0 is stuck: its commit shows that commits were made."""
LAST = 7
"""Behind the six, sent after the restart: who gets it was given all that it will ever be given."""


@dataclass
class Contestant:
    """A worker of one runtime: started, killed, started again."""

    kafka: KafkaSettings
    runtime: Runtime
    topic: str
    work: Work
    process: asyncio.subprocess.Process | None = field(default=None, init=False)

    @property
    def name(self) -> str:
        """Nobody else's in this broker."""
        return f"{self.topic}-{self.runtime.value}"

    @property
    def group(self) -> str:
        """The consumer group."""
        return f"{self.name}.{MAIN}" if self.runtime is Runtime.OURS else self.name

    async def start(self) -> None:
        with (self.work.folder / "log").open("ab") as output:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "tests.integration.runtime.stuck",
                *(self.runtime.value, self.kafka.bootstrap, self.name, self.topic),
                str(self.work.folder),
                cwd=Path(__file__).parents[3],
                stdout=output,
                stderr=asyncio.subprocess.STDOUT,
            )

    async def kill(self) -> None:
        """End the worker without a word."""
        if self.process is not None:
            os.kill(self.process.pid, signal.SIGKILL)
            await self.process.wait()
            self.process = None

    async def until_noted(self, what: str, numbers: set[int]) -> None:
        """Wait until these events were `started` or `finished`."""
        await until(
            lambda: numbers <= self.work.noted(what), f"{self.runtime} has {what} {numbers}"
        )

    async def until_committed(self, partition: int, offset: int) -> None:
        """Wait until the broker has this offset for the group."""
        await until(
            lambda: self.committed(partition) == offset,
            f"{self.runtime} has committed {offset} in partition {partition}",
        )

    def committed(self, partition: int) -> int:
        """What the broker has for the group; 0 while it has nothing."""
        admin = AdminClient({"bootstrap.servers": self.kafka.bootstrap})
        asked = [ConsumerGroupTopicPartitions(self.group)]
        (future,) = admin.list_consumer_group_offsets(asked).values()
        offsets = {it.partition: it.offset for it in future.result(10).topic_partitions}
        return max(0, int(offsets.get(partition, 0)))


@pytest.fixture
async def contestants(
    kafka: KafkaSettings, unique: str, make_topics: MakeTopics, tmp_path: Path
) -> AsyncIterator[dict[Runtime, Contestant]]:
    """Both runtimes on one topic; whatever still runs is killed afterwards."""
    specs = platform_topics(CATALOG, PARTITIONS)
    await asyncio.to_thread(lambda: apply(kafka.bootstrap, plan(kafka.bootstrap, specs)))
    await make_topics(unique)
    await make_failure_topics(kafka, f"{unique}-{Runtime.OURS.value}")
    both = {}
    for runtime in Runtime:
        work = Work(folder=tmp_path / runtime.value)
        work.folder.mkdir()
        both[runtime] = Contestant(kafka=kafka, runtime=runtime, topic=unique, work=work)
    yield both
    for contestant in both.values():
        await contestant.kill()


async def test_stock_faust_loses_the_unfinished_event_of_a_killed_worker_and_ours_does_not(
    contestants: dict[Runtime, Contestant], unique: str, sender: KafkaSender
) -> None:
    stock, ours = contestants[Runtime.STOCK_FAUST], contestants[Runtime.OURS]
    await send_all(sender, numbered(unique, FIRST_SIX, 0))
    for contestant in (stock, ours):
        await contestant.start()
    for contestant in (stock, ours):
        await contestant.until_noted("started", {STUCK})
    await stock.until_noted("finished", set(FIRST_SIX) - {STUCK})
    await send_all(sender, numbered(unique, [TICK], 1))
    for contestant in (stock, ours):
        await contestant.until_committed(1, 1)
    assert stock.committed(0) == len(FIRST_SIX)
    assert ours.committed(0) == 0

    for contestant in (stock, ours):
        await contestant.kill()
        contestant.work.released.touch()
        await contestant.start()
    await send_all(sender, numbered(unique, [LAST], 0))
    for contestant in (stock, ours):
        await contestant.until_noted("finished", {LAST})

    sent = {*FIRST_SIX, TICK, LAST}
    assert sent - stock.work.noted("finished") == {STUCK}
    assert sent - ours.work.noted("finished") == set()


def numbered(topic: str, numbers: Iterable[int], partition: int) -> list[OutgoingRecord]:
    """One event for each number, in this partition."""
    events = [
        FACTORY.create(
            AnalysisFileProcessed(
                analysis_id="a",
                project_id="p",
                path=f"file-{number}",
                lines=number,
                functions=0,
                classes=0,
            ),
            aggregate_id=f"file-{number}",
        )
        for number in numbers
    ]
    return [
        OutgoingRecord(
            topic=topic,
            key=event.key.encode(),
            value=CODEC.encode(event),
            headers=event_headers(event),
            partition=partition,
        )
        for event in events
    ]
