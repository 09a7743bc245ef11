"""The analysing producer on a log in process: each analysis is an aggregate with two versions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from examples.analysis.aggregate import Analysis
from examples.analysis.plan import PackagePlan, plan
from examples.analysis.producer import AnalysisProducer, current_release
from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.event import Event, EventFactory
from streams.aggregate import RootModel
from streams.bus.memory import MemoryBus
from streams.errors import BrokerUnavailable
from streams.event_store import CommandAppender
from streams.expectation import Appended, ExpectedVersion
from streams.memory.appender import MemoryEventAppender
from streams.memory.log import MemoryLog
from streams.memory.schemas import MemoryWriterSchemas
from streams.repository import Repository, RepositoryEdges
from tests.unit.streams.appending import stored_in

CATALOG = Catalog.load()
CODEC = Codec(CATALOG)
RUN = "run-1"
HISTORY = [("analysis.started", 1), ("analysis.completed", 2)]


@dataclass
class Unreliable:
    """An appender that is away, or whose first answers are lost behind the commit."""

    appender: CommandAppender
    losses: int
    is_away: bool

    async def append(
        self,
        events: Sequence[Event[Any]],
        expected: ExpectedVersion,
        *,
        command_id: str | None = None,
    ) -> Appended:
        """See EventAppender."""
        if self.is_away:
            raise BrokerUnavailable("away")
        appended = await self.appender.append(events, expected, command_id=command_id)
        if self.losses:
            self.losses -= 1
            raise BrokerUnavailable("the answer is lost")
        return appended

    async def result_of(
        self, aggregate_type: str, aggregate_id: str, command_id: str
    ) -> Appended | None:
        """See CommandResults."""
        return await self.appender.result_of(aggregate_type, aggregate_id, command_id)


@dataclass
class Rig:
    """A producer over a folder of two packages."""

    root: Path
    losses: int = 0
    is_away: bool = False
    log: MemoryLog = field(default_factory=MemoryLog)
    slept: list[float] = field(default_factory=list)

    @property
    def plans(self) -> tuple[PackagePlan, ...]:
        return plan(self.root, RUN)

    async def run(self) -> int:
        factory = EventFactory(CATALOG, "test")
        schemas = MemoryWriterSchemas(self.log, CODEC)
        appender = Unreliable(
            MemoryEventAppender(self.log, CATALOG, CODEC, schemas), self.losses, self.is_away
        )
        edges = RepositoryEdges(stored=stored_in(self.log), appender=appender, factory=factory)
        producer = AnalysisProducer(
            bus=MemoryBus("test", self.log, CATALOG),
            analyses=Repository(RootModel(Analysis, factory), edges),
            factory=factory,
            root=self.root,
            run_id=RUN,
            file_event=current_release,
            now_ms=lambda: 0.0,
            sleep=self.sleep,
        )
        return await producer.run(self.plans)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    async def history(self, analysis: PackagePlan) -> list[Event[Any]]:
        stored = stored_in(self.log)
        return [event async for event in stored.history("Analysis", analysis.analysis_id)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in (("one/a.py", "def f(): ...\n"), ("one/b.py", "def (\n"), ("two.py", "")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def versions(events: Sequence[Event[Any]]) -> list[tuple[str, int | None]]:
    return [(event.type, event.aggregate.version if event.aggregate else None) for event in events]


async def test_each_package_is_started_and_completed_once_with_its_results(root: Path) -> None:
    rig = Rig(root)
    assert await rig.run() == 3 + 2 * 2
    assert len(rig.log.topic("events.domain.low")) == 3
    one, two = [await rig.history(analysis) for analysis in rig.plans]
    assert versions(one) == versions(two) == HISTORY
    assert {event.correlation_id for event in (*one, *two)} == {RUN}
    results = one[1].data
    assert (results.files, results.failed, results.functions, results.lines) == (2, 1, 1, 2)


async def test_a_command_whose_answer_was_lost_is_tried_again_and_carried_out_once(
    root: Path,
) -> None:
    rig = Rig(root, losses=3)
    assert await rig.run() == 3 + 2 * 2
    assert len(rig.slept) == 3
    for analysis in rig.plans:
        assert versions(await rig.history(analysis)) == HISTORY


async def test_a_producer_that_was_killed_and_runs_again_changes_no_history(root: Path) -> None:
    rig = Rig(root)
    await rig.run()
    before = [[event.id for event in await rig.history(analysis)] for analysis in rig.plans]
    assert await rig.run() == 3 + 2 * 2
    after = [[event.id for event in await rig.history(analysis)] for analysis in rig.plans]
    assert after == before


async def test_a_store_that_stays_away_ends_the_producer(root: Path) -> None:
    rig = Rig(root, is_away=True)
    with pytest.raises(ExceptionGroup) as ended:
        await rig.run()
    assert [type(error) for error in ended.value.exceptions] == [BrokerUnavailable]
    assert len(rig.slept) == 4
