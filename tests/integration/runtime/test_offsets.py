"""Committed offsets as the broker has them: never above unfinished work."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions
from confluent_kafka.admin import AdminClient

from streams.errors import PartitionMismatch, TopicMissing
from streams.kafka.offsets import committed_offsets
from streams.kafka.reader import KafkaReader
from streams.kafka.sender import KafkaSender
from streams.processor import More, no_more
from streams.records import OutgoingRecord, TopicPartition
from streams.runtime.consumer import LaneConsumer
from streams.runtime.errors import WorkerFailed
from streams.runtime.preflight import check_topics
from streams.settings import KafkaSettings
from tests.integration.runtime.conftest import Recorder, running_member, until
from tests.integration.runtime.team import send_all

pytestmark = pytest.mark.kafka
MakeTopics = Callable[..., Awaitable[None]]


def committed(kafka: KafkaSettings, group: str) -> Mapping[int, int]:
    """What the broker has for the group, by partition."""
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    (future,) = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)]).values()
    return {it.partition: it.offset for it in future.result(10).topic_partitions if it.offset >= 0}


def numbered(topic: str, count: int, partition: int) -> list[OutgoingRecord]:
    return [
        OutgoingRecord(topic=topic, key=b"k", value=str(n).encode(), partition=partition)
        for n in range(count)
    ]


async def test_a_hanging_record_holds_the_commit_of_its_partition_and_of_no_other(
    kafka: KafkaSettings, unique: str, make_topics: MakeTopics, sender: KafkaSender, tmp_path: Path
) -> None:
    group = f"{unique}.main"
    await make_topics(unique)
    await send_all(sender, numbered(unique, 6, 0) + numbered(unique, 6, 1))
    process = Recorder(held={(0, 2)})
    async with running_member(kafka, group, [unique], process, tmp_path):
        await until(lambda: committed(kafka, group).get(1) == 6, "partition 1 committed")
        assert committed(kafka, group).get(0, 0) <= 2
        process.release.set()
        await until(lambda: committed(kafka, group).get(0) == 6, "partition 0 committed")
    offsets = await committed_offsets(kafka, group)
    assert offsets == {TopicPartition(unique, 0): 6, TopicPartition(unique, 1): 6}
    assert await committed_offsets(kafka, f"{group}-unknown") == {}


async def test_what_was_unfinished_is_delivered_again_and_nothing_else_is_lost(
    kafka: KafkaSettings,
    unique: str,
    make_topics: MakeTopics,
    sender: KafkaSender,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("streams.runtime.consumer.DRAIN_DEADLINE_S", 0.2)
    group = f"{unique}.main"
    await make_topics(unique)
    await send_all(sender, numbered(unique, 6, 0))
    stuck = Recorder(held={(0, 2)})
    async with running_member(kafka, group, [unique], stuck, tmp_path):
        await until(lambda: len(stuck.handled) == 2, "two handled before the stuck one")
    again = Recorder()
    async with running_member(kafka, group, [unique], again, tmp_path):
        await until(lambda: {(0, n) for n in range(2, 6)} <= again.offsets(), "the rest")
    assert (stuck.offsets() | again.offsets()) == {(0, n) for n in range(6)}


async def test_a_refused_commit_is_tried_again(
    kafka: KafkaSettings,
    unique: str,
    make_topics: MakeTopics,
    sender: KafkaSender,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    group = f"{unique}.main"
    await make_topics(unique)
    refusals: list[Mapping[Any, int]] = []
    commit = LaneConsumer._commit

    async def refuse_once(consumer: LaneConsumer, offsets: Mapping[Any, int]) -> bool:
        if not refusals:
            refusals.append(offsets)
            return False
        return bool(await commit(consumer, offsets))

    monkeypatch.setattr(LaneConsumer, "_commit", refuse_once)
    await send_all(sender, numbered(unique, 3, 0))
    async with running_member(kafka, group, [unique], Recorder(), tmp_path):
        await until(lambda: committed(kafka, group).get(0) == 3, "committed after the refusal")
    assert refusals


async def test_a_second_member_under_load_loses_nothing_and_takes_its_share(
    kafka: KafkaSettings, unique: str, make_topics: MakeTopics, sender: KafkaSender, tmp_path: Path
) -> None:
    group = f"{unique}.main"
    await make_topics(unique)
    first, second = Recorder(), Recorder()
    enough = asyncio.Event()
    sending = asyncio.create_task(_send_until(sender, unique, enough))
    async with running_member(kafka, group, [unique], first, tmp_path / "1") as one:
        await until(lambda: len(first.handled) > 100, "load on the first")
        async with running_member(kafka, group, [unique], second, tmp_path / "2") as two:
            await until(lambda: len(second.handled) > 100, "load on the second")
            enough.set()
            sent = await sending
            expected = {(partition, n) for partition in range(4) for n in range(sent)}
            await until(lambda: first.offsets() | second.offsets() == expected, "all handled")
            assert set(one.assigned()).isdisjoint(two.assigned())
            assert len(one.assigned()) == len(two.assigned()) == 2


async def test_a_failing_process_stops_the_member_and_commits_nothing_past_it(
    kafka: KafkaSettings, unique: str, make_topics: MakeTopics, sender: KafkaSender, tmp_path: Path
) -> None:
    class Failing(Recorder):
        async def process(self, source: Any, records: Any, more: More = no_more) -> None:
            raise RuntimeError("a defect")

    group = f"{unique}.main"
    await make_topics(unique)
    await send_all(sender, numbered(unique, 3, 0))

    def failed() -> bool:
        try:
            member.raise_failure()
        except WorkerFailed as error:
            return "a defect" in str(error)
        return False

    async with running_member(kafka, group, [unique], Failing(), tmp_path) as member:
        await until(failed, "the failure")
    assert committed(kafka, group).get(0, 0) == 0


async def test_a_start_names_topics_that_are_missing_or_have_another_count(
    kafka: KafkaSettings, unique: str, make_topics: MakeTopics
) -> None:
    await make_topics(unique)
    await make_topics(f"{unique}-small", partitions=3)
    with pytest.raises(PartitionMismatch, match=f"{unique}-small has 3"):
        await check_topics(KafkaReader(kafka, [unique, f"{unique}-small"]), 4)
    impatient = replace(kafka, connect_timeout_s=1.0)
    with pytest.raises(TopicMissing, match=f"{unique}-absent"):
        await check_topics(KafkaReader(impatient, [unique, f"{unique}-absent"]), 4)


async def _send_until(sender: KafkaSender, topic: str, enough: asyncio.Event) -> int:
    """Send to all partitions until told to stop; returns how many went to each."""
    sent = 0
    while not enough.is_set():
        await send_all(sender, [r for p in range(4) for r in numbered(topic, 10, p)])
        sent += 10
        with suppress(TimeoutError):
            await asyncio.wait_for(enough.wait(), 0.05)
    return sent
