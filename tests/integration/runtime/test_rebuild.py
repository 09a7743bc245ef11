"""Tables are built anew from the archive on a real broker, and their changelogs hold them then."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient

from infra.topics import apply, plan, topic_ids
from schemas.event import Event
from schemas.events.domain import AnalysisFileProcessed
from schemas.headers import event_headers
from schemas.topics import platform_topics
from streams.app import App
from streams.kafka.fetcher import KafkaFetcher
from streams.kafka.group import KafkaGroupReader
from streams.kafka.offsets import committed_offsets
from streams.kafka.schema_topic import KafkaWriterSchemas
from streams.kafka.sender import KafkaSender
from streams.parking.loading import HeldBack
from streams.platform.archive import archived
from streams.projection import Entry, State
from streams.reading import EventReading
from streams.rebuilding import RebuildEdges, TableRebuild
from streams.records import OutgoingRecord, RawRecord, TopicPartition
from streams.runtime.stores.opening import open_store
from streams.runtime.table_recovery import TableRecovery
from streams.settings import KafkaSettings
from streams.table import MemoryTable, Table
from streams.table_store import TableStore
from tests.integration.runtime.team import CATALOG, CODEC, FACTORY, PARTITIONS, send_all
from tests.integration.runtime.test_recovery import work
from tests.unit.streams.tabling import ids_in

pytestmark = pytest.mark.kafka

MakeTopics = Callable[..., Awaitable[None]]
EVENTS = 600


def counting_app(name: str) -> App:
    """Counts the events of one test, by file and by project."""
    app = App(name)

    def count(state: State, event: Event[Any]) -> State:
        if event.data.analysis_id != name:
            return state
        return {"events": state.get("events", 0) + 1}

    on = ("analysis.file.processed",)
    app.projection("per-file", on=on, initial=dict)(count)
    app.projection("per-project", on=on, initial=dict, key=lambda it: it.data.project_id)(count)
    return app


def processed(name: str, number: int) -> Event[AnalysisFileProcessed]:
    data = AnalysisFileProcessed(
        analysis_id=name,
        project_id=f"{name}-{number % 7}",
        path=f"file-{number % 90}",
        lines=1,
        functions=0,
        classes=0,
    )
    return FACTORY.create(data, aggregate_id=f"{name}:{data.path}")


async def nothing_is_held_back(partitions: Collection[int]) -> HeldBack:
    """No event of these tests has failed."""
    return HeldBack({}, frozenset())


async def records_of(kafka: KafkaSettings, topic: str, count: int) -> list[RawRecord]:
    """So many records of a topic, from its begin."""
    sources = [TopicPartition(topic, number) for number in range(PARTITIONS)]
    fetcher = KafkaFetcher(kafka)
    found: list[RawRecord] = []
    try:
        await fetcher.start(dict.fromkeys(sources, 0))
        async with asyncio.timeout(30):
            while len(found) < count:
                for records in (await fetcher.fetch(sources, 500, 0.2)).values():
                    found += records
    finally:
        await fetcher.close()
    return found


async def commit_all(kafka: KafkaSettings, group: str, topic: str) -> None:
    """The group has worked on the whole topic: none of it will be read again."""
    reader = KafkaGroupReader(kafka, group, (topic,), FromTheBegin())
    try:
        await reader.start()
        done: dict[TopicPartition, int] = {}
        async with asyncio.timeout(30):
            while sum(done.values()) < EVENTS:
                for source, records in (await reader.read(500, 0.2)).items():
                    done[source] = records[-1].offset + 1
        await reader.commit(done)
    finally:
        await reader.close()


class FromTheBegin:
    """Implements AssignmentListener: whatever is assigned is read from its begin."""

    async def revoked(self, partitions: Iterable[TopicPartition]) -> None:
        """Nothing is in work."""

    async def assigned(self, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        """See AssignmentListener."""
        return dict.fromkeys(partitions, 0)


def shown(table: Table) -> Counter[str]:
    """What a table has counted, by key, but for what other tests have left in the archive."""
    states = ((entry.key, Entry.decode(entry.value).state) for entry in table.entries())
    return Counter({key: state["events"] for key, state in states if state})


def published(topic: str, event: Event[Any]) -> OutgoingRecord:
    """The record of an event in a topic of the test."""
    return OutgoingRecord(topic, event.key.encode(), CODEC.encode(event), event_headers(event))


def archived_as_is(record: RawRecord) -> OutgoingRecord:
    """What the platform's worker makes of a record."""
    envelope = CODEC.view(record.value or b"").envelope
    return archived(record, envelope.id, envelope)


async def test_tables_from_the_archive_equal_what_was_sent_and_so_do_their_changelogs(
    kafka: KafkaSettings, sender: KafkaSender, make_topics: MakeTopics, unique: str
) -> None:
    app = counting_app(unique)
    workload = app.workload()
    specs = [*platform_topics(CATALOG, PARTITIONS), *app.topic_specs(PARTITIONS)]
    await asyncio.to_thread(lambda: apply(kafka.bootstrap, plan(kafka.bootstrap, specs)))
    topic, archive_group = f"events.domain.{unique}", f"{unique}.archive"
    await make_topics(topic)
    events = [processed(unique, number) for number in range(EVENTS)]
    await send_all(sender, [published(topic, event) for event in events])
    for group in (workload.group, archive_group):
        await commit_all(kafka, group, topic)
    archive = [archived_as_is(record) for record in await records_of(kafka, topic, EVENTS)]
    # What the platform's worker had in hand when it was killed is archived twice.
    await send_all(sender, [*archive, *archive[-50:]])
    schemas = KafkaWriterSchemas(kafka, sender, CODEC)
    edges = RebuildEdges(
        reading=EventReading(CODEC, schemas, workload.wants),
        sender=sender,
        open_fetcher=lambda: KafkaFetcher(kafka),
        committed=partial(committed_offsets, kafka),
        held_back=nothing_is_held_back,
    )
    tables = {name: MemoryTable(topic) for name, topic in workload.changelogs().items()}
    try:
        rebuild = TableRebuild(workload, PARTITIONS, archive_group, edges)
        await rebuild.rebuild(tables, range(PARTITIONS))
    finally:
        await schemas.close()

    again = {name: MemoryTable(topic) for name, topic in workload.changelogs().items()}
    await TableRecovery(lambda: KafkaFetcher(kafka)).recover(again, range(PARTITIONS))
    for found in (tables, again):
        assert shown(found["per-file"]) == Counter(event.key for event in events)
        assert shown(found["per-project"]) == Counter(event.data.project_id for event in events)


async def test_a_store_on_disk_knows_a_changelog_that_was_made_anew_under_its_name(
    kafka: KafkaSettings,
    sender: KafkaSender,
    make_topics: MakeTopics,
    unique: str,
    tmp_path: Path,
) -> None:
    changelog = f"{unique}-changelog"
    await make_topics(changelog)
    before = topic_ids(kafka.bootstrap, [changelog])[changelog]
    table = Table(changelog, open_store(TableStore.ROCKSDB, tmp_path, before))
    await work(table, 1, range(50), sender)
    table.close()
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    await asyncio.to_thread(admin.delete_topics([changelog])[changelog].result, 30)
    await make_topics(changelog)
    after = topic_ids(kafka.bootstrap, [changelog])[changelog]
    owner = MemoryTable(changelog)
    # It is longer than the store's offset: by its length nobody would know.
    await work(owner, 1, range(1_000, 1_100), sender)
    found = Table(changelog, open_store(TableStore.ROCKSDB, tmp_path, after))
    try:
        await TableRecovery(lambda: KafkaFetcher(kafka)).recover({"collected": found}, [1])
        assert after != before
        assert ids_in(found) == ids_in(owner)
    finally:
        found.close()
