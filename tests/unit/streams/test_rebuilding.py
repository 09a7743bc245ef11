"""Tables from the archive equal those from the events, and know what they hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pytest

from schemas.event import Event
from schemas.topics import STORE_EVENTS
from streams.app import App
from streams.memory.fetcher import MemoryFetcher
from streams.memory.log import MemorySender
from streams.memory.schemas import MemoryWriterSchemas
from streams.parking.loading import held_back
from streams.platform.archive import archived
from streams.projection import Entry, State
from streams.reading import EventReading
from streams.rebuilding import RebuildEdges, TableRebuild
from streams.records import OutgoingRecord, RawRecord, TopicPartition
from streams.table import MemoryTable
from tests.unit.streams.bench import Bench

MakeEvent = Callable[..., Event[Any]]

PARTITIONS = 4
EVENTS = 60
HIGH = "events.domain.high"


def counting_app() -> App:
    app = App("team")

    def count(state: State, event: Event[Any]) -> State:
        if event.data.analysis_id == "bad":
            raise ValueError("cannot be folded")
        return {"events": state.get("events", 0) + 1}

    app.projection("per-analysis", on=("analysis.*",), initial=dict)(count)
    app.projection("per-project", on=("analysis.*",), initial=dict, key=project_of)(count)
    return app


def project_of(event: Event[Any]) -> str:
    """The one that cannot be folded has a project of its own."""
    return "bad" if event.data.analysis_id == "bad" else str(event.data.project_id)


class World:
    """A log with events, a worker's tables made from it, and an archive."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.app = counting_app()
        self.workload = self.app.workload()
        self.tables = self.new_tables()
        self.archive_offsets: dict[TopicPartition, int] = {}
        self.slept = 0

    def new_tables(self) -> dict[str, MemoryTable]:
        return {name: MemoryTable(topic) for name, topic in self.workload.changelogs().items()}

    async def publish(self, *events: Event[Any]) -> None:
        sender = MemorySender(self.bench.log)
        for event in events:
            await sender.send(
                OutgoingRecord(
                    topic=HIGH, key=event.key.encode(), value=self.bench.codec.encode(event)
                )
            )

    def archive(self) -> None:
        """What the platform's worker does."""
        for source in self.bench.log.partitions(HIGH):
            for record in self.bench.log.records(source, self.archive_offsets.get(source, 0)):
                envelope = self.bench.codec.view(record.value or b"").envelope
                self.bench.log.append(archived(record, envelope.id, envelope))
            self.archive_offsets[source] = self.bench.log.end(source)

    async def work(self, tables: Mapping[str, MemoryTable]) -> None:
        """What the app's worker does, from the beginning of all its topics."""
        processor = self.bench.processor(self.app, dict(tables))
        for topic in (HIGH, *self.workload.repartition_topics()):
            for source in self.bench.log.partitions(topic):
                records = self.bench.log.records(source)
                if records:
                    await processor.process(source, records)

    async def rebuild(self, partitions: range = range(PARTITIONS)) -> dict[str, MemoryTable]:
        tables = self.new_tables()
        schemas = MemoryWriterSchemas(self.bench.log, self.bench.codec, wait_s=0)
        edges = RebuildEdges(
            reading=EventReading(self.bench.codec, schemas, self.workload.wants),
            sender=MemorySender(self.bench.log),
            open_fetcher=lambda: MemoryFetcher(self.bench.log),
            committed=self.committed,
            held_back=partial(
                held_back,
                lambda: MemoryFetcher(self.bench.log),
                self.app.name,
                self.workload.group,
            ),
            sleep=self.sleep,
        )
        rebuild = TableRebuild(self.workload, PARTITIONS, "wundr.platform", edges)
        await rebuild.rebuild(tables, partitions)
        return tables

    async def committed(self, group: str) -> Mapping[TopicPartition, int]:
        if group == "wundr.platform":
            return self.archive_offsets
        return {source: self.bench.log.end(source) for source in self.bench.log.partitions(HIGH)}

    async def sleep(self, seconds: float) -> None:
        self.slept += 1
        self.archive()


def states(tables: Mapping[str, MemoryTable]) -> dict[str, dict[str, State]]:
    return {
        name: {key: Entry.decode(value).state for key, value in table.items()}
        for name, table in tables.items()
    }


@pytest.fixture
async def world(bench: Bench, started: MakeEvent) -> World:
    world = World(bench)
    await world.publish(*(started(f"a{number % 13}") for number in range(EVENTS)))
    await world.publish(started("bad"))
    await world.work(world.tables)
    world.archive()
    return world


async def test_rebuilt_tables_equal_those_that_were_lost(world: World) -> None:
    rebuilt = await world.rebuild()
    assert states(rebuilt) == states(world.tables)
    assert sum(it["events"] for it in states(rebuilt)["per-project"].values()) == EVENTS


async def test_events_that_are_read_again_after_a_rebuild_are_not_counted_again(
    world: World,
) -> None:
    rebuilt = await world.rebuild()
    await world.work(rebuilt)
    assert states(rebuilt) == states(world.tables)


async def test_redelivered_events_in_the_archive_are_counted_once(world: World) -> None:
    world.archive_offsets.clear()
    world.archive()
    assert states(await world.rebuild()) == states(world.tables)


async def test_only_the_partitions_that_are_asked_for_are_built(world: World) -> None:
    rebuilt = await world.rebuild(range(1))
    shown = {entry.partition for table in rebuilt.values() for entry in table.entries()}
    assert shown <= {0}


async def test_a_rebuild_waits_for_what_is_not_archived_yet(
    world: World, started: MakeEvent
) -> None:
    await world.publish(*(started(f"late{number}") for number in range(9)))
    await world.work(world.tables)
    assert states(await world.rebuild()) == states(world.tables)
    assert world.slept == 1


async def test_the_changelog_of_a_rebuilt_table_gives_it_back(world: World) -> None:
    rebuilt = await world.rebuild()
    again = world.new_tables()
    for table in again.values():
        for number in range(PARTITIONS):
            source = TopicPartition(table.changelog, number)
            records: list[RawRecord] = list(world.bench.log.records(source))
            table.partition(number).recover(((it.key, it.value) for it in records), None)
    assert states(again) == states(rebuilt)
    assert world.bench.log.topic(STORE_EVENTS)


async def test_what_waits_behind_a_failed_event_is_left_for_when_that_is_done(
    bench: Bench, started: MakeEvent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "tests.unit.streams.test_rebuilding.project_of", lambda event: event.data.project_id
    )
    world = World(bench)
    names = ["a", "b", "bad", "c", "d"]
    await world.publish(*(started(name) for name in names))
    await world.work(world.tables)
    world.archive()
    rebuilt = await world.rebuild()
    assert states(rebuilt) == states(world.tables)
    bench.processor(world.app, dict(rebuilt))
    repartition = world.workload.repartition_topics()[0]
    await bench.redoing.begin(bench.log.partitions(repartition))
    await bench.redoing.close()
    await bench.redoing.begin(bench.log.partitions(repartition))
    (letter,) = [it for it in bench.log.topic("dlq.team") if b"per-project" in (it.key or b"")]
    await bench.drop(letter)
    assert states(rebuilt)["per-project"] == {"p1": {"events": 4}}
    await bench.redoing.close()
