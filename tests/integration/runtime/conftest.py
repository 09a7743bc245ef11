"""Fresh topics and group members on a real broker."""

from __future__ import annotations

import asyncio
import gc
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from infra.topics import apply, plan
from schemas.topics import CONTROL_TOPIC, TopicSpec, failure_topics, platform_topics
from streams.attempts import Pause
from streams.kafka.sender import KafkaSender
from streams.lane import Lanes
from streams.processor import More, no_more
from streams.records import RawRecord, TopicPartition
from streams.runtime.member import GroupMember, Membership
from streams.serial_lane import SerialLane
from streams.settings import KafkaSettings
from streams.turns import AtOnce
from tests.integration.runtime.mailing import mailing_app
from tests.integration.runtime.tally import OneTopicApp, tally_app
from tests.integration.runtime.team import CATALOG, PARTITIONS, Team
from tests.unit.streams.idle import NothingToRedo, idle_lot

DEADLINE_S = 40.0


async def until(condition: Callable[[], bool], what: str, deadline_s: float = DEADLINE_S) -> None:
    """Wait for a condition; fails by name when it does not come true in time."""
    try:
        async with asyncio.timeout(deadline_s):
            while not condition():  # noqa: ASYNC110  # what is waited for is outside this process
                await asyncio.sleep(0.02)
    except TimeoutError:
        pytest.fail(f"not in {deadline_s} s: {what}")


@pytest.fixture(autouse=True)
async def left_connections_are_closed() -> AsyncIterator[None]:
    """A client of aiokafka that is cancelled while it connects closes when it is collected.

    That has to be while there is still an event loop.
    """
    yield
    gc.collect()


@pytest.fixture
def kafka(kafka_bootstrap: str) -> KafkaSettings:
    """Settings for the session's broker."""
    return KafkaSettings(bootstrap=kafka_bootstrap, partitions=PARTITIONS)


@pytest.fixture
def unique() -> str:
    """A name that no other test uses."""
    return f"t{uuid.uuid4().hex[:10]}"


@pytest.fixture
def make_topics(kafka: KafkaSettings) -> Callable[..., Awaitable[None]]:
    """Create topics, compacted where the name ends like a changelog."""

    async def make(*names: str, partitions: int = PARTITIONS) -> None:
        specs = [
            TopicSpec(
                name=name,
                partitions=partitions,
                config={"cleanup.policy": "compact" if name.endswith("-changelog") else "delete"},
                why="a test",
            )
            for name in names
        ]
        await asyncio.to_thread(lambda: apply(kafka.bootstrap, plan(kafka.bootstrap, specs)))

    return make


@pytest.fixture
async def sender(kafka: KafkaSettings) -> AsyncIterator[KafkaSender]:
    """A sender that is closed after the test."""
    sender = KafkaSender(kafka)
    await sender.start()
    yield sender
    await sender.close()


@asynccontextmanager
async def team_of(app: OneTopicApp, team: Team) -> AsyncIterator[Team]:
    """A team without workers, its topics made; whatever still runs is killed afterwards."""
    specs = [
        *platform_topics(CATALOG, PARTITIONS),
        *app.topic_specs(PARTITIONS),
        TopicSpec(name=app.topic, partitions=PARTITIONS, config={}, why="a test"),
    ]
    bootstrap = team.kafka.bootstrap
    await asyncio.to_thread(lambda: apply(bootstrap, plan(bootstrap, specs)))
    yield team
    for worker in list(team.workers):
        await team.kill(worker)


@pytest.fixture
async def team(
    kafka: KafkaSettings, unique: str, tmp_path: Path, sender: KafkaSender
) -> AsyncIterator[Team]:
    """A team whose workers count."""
    team = Team(kafka=kafka, name=unique, folder=tmp_path, sender=sender)
    async with team_of(tally_app(unique, tmp_path), team):
        yield team


@pytest.fixture
async def mail_team(
    kafka: KafkaSettings, unique: str, tmp_path: Path, sender: KafkaSender
) -> AsyncIterator[Team]:
    """A team whose workers need a mailer, and may hang."""
    module = "tests.integration.runtime.mailing"
    team = Team(kafka=kafka, name=unique, folder=tmp_path, sender=sender, module=module)
    async with team_of(mailing_app(unique, 1, tmp_path), team):
        yield team


@dataclass
class Recorder:
    """A Process that notes what it was given; it does not finish `held` before `release`."""

    handled: list[RawRecord] = field(default_factory=list)
    held: set[tuple[int, int]] = field(default_factory=set)
    release: asyncio.Event = field(default_factory=asyncio.Event)
    pause: Pause | None = None

    async def process(
        self, source: TopicPartition, records: Sequence[RawRecord], more: More = no_more
    ) -> None:
        """See Process."""
        for record in records:
            if (record.partition, record.offset) in self.held:
                await self.release.wait()
            self.handled.append(record)

    def offsets(self) -> set[tuple[int, int]]:
        """Partition and offset of everything handled."""
        return {(record.partition, record.offset) for record in self.handled}


async def make_failure_topics(kafka: KafkaSettings, app: str) -> None:
    """Where a member looks for what waits, before it reads anything."""
    platform = platform_topics(CATALOG, PARTITIONS)
    specs = [*failure_topics(app, PARTITIONS), *(it for it in platform if it.name == CONTROL_TOPIC)]
    await asyncio.to_thread(lambda: apply(kafka.bootstrap, plan(kafka.bootstrap, specs)))


@asynccontextmanager
async def running_member(
    kafka: KafkaSettings,
    group: str,
    topics: Sequence[str],
    process: Recorder,
    data_dir: Path,
    *,
    instance: str | None = None,
) -> AsyncIterator[GroupMember]:
    """A member that has its first assignment; it leaves at the end of the block."""
    app = group.partition(".")[0]
    await make_failure_topics(kafka, app)
    member = GroupMember(group, Membership(kafka=kafka, data_dir=data_dir, instance=instance), {})
    lanes = Lanes(partial(SerialLane, process, AtOnce()))
    member.read_into(lanes, topics, idle_lot(app=app), NothingToRedo())
    await member.start()
    try:
        yield member
    finally:
        await member.stop()
