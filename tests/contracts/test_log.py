"""What senders, readers and group members promise, in process and on Kafka alike."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from streams.errors import CommitRefused, PartitionMismatch, TopicMissing
from streams.kafka.group import KafkaGroupReader
from streams.kafka.reader import KafkaReader
from streams.kafka.sender import KafkaSender
from streams.log import GroupReader, RecordReader, RecordSender
from streams.memory.group import MemoryGroupReader
from streams.memory.log import MemoryLog, MemorySender
from streams.memory.reader import MemoryReader
from streams.partitioner import partition_of
from streams.records import OutgoingRecord, RawRecord, TopicPartition
from streams.settings import KafkaSettings
from tests.contracts.rigs import PARTITIONS, WAIT_S, create_topics, unique


@dataclass
class Listener:
    """Notes assignments; starts where it is told."""

    starts: dict[TopicPartition, int] = field(default_factory=dict)
    owned: set[TopicPartition] = field(default_factory=set)
    revocations: int = 0

    async def revoked(self, partitions: Iterable[TopicPartition]) -> None:
        """Note a loss."""
        self.owned -= set(partitions)
        self.revocations += 1

    async def assigned(self, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Note a gain."""
        self.owned |= set(partitions)
        return {source: at for source, at in self.starts.items() if source in self.owned}


@dataclass
class Log:
    """One log with one topic."""

    topic: str
    sender: RecordSender
    reader: Callable[[Sequence[str]], RecordReader]
    member: Callable[[str, Listener], GroupReader]

    async def send(self, count: int, key: str = "k") -> None:
        """Send numbered records of one key, acknowledged."""
        receipts = [
            await self.sender.send(
                OutgoingRecord(
                    topic=self.topic,
                    key=key.encode(),
                    value=str(n).encode(),
                    headers=(("h", b"1"),),
                )
            )
            for n in range(count)
        ]
        for receipt in receipts:
            await receipt


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.kafka)])
async def log(request: pytest.FixtureRequest) -> AsyncIterator[Log]:
    """A log with one fresh topic."""
    topic = unique("log")
    if request.param == "memory":
        memory = MemoryLog(PARTITIONS, topics=[topic])
        yield Log(
            topic=topic,
            sender=MemorySender(memory),
            reader=lambda topics: MemoryReader(memory, topics),
            member=lambda group, listener: MemoryGroupReader(memory, group, [topic], listener),
        )
        return
    bootstrap: str = request.getfixturevalue("kafka_bootstrap")
    await asyncio.to_thread(create_topics, bootstrap, [topic], PARTITIONS)
    settings = KafkaSettings(bootstrap=bootstrap, connect_timeout_s=2.0)
    sender = KafkaSender(settings)
    yield Log(
        topic=topic,
        sender=sender,
        reader=lambda topics: KafkaReader(settings, topics),
        member=lambda group, listener: KafkaGroupReader(settings, group, [topic], listener),
    )
    await sender.close()


async def take(reader: RecordReader | GroupReader, count: int) -> list[RawRecord]:
    """Read so many records; TimeoutError when they do not come."""
    found: list[RawRecord] = []
    async with asyncio.timeout(WAIT_S):
        while len(found) < count:
            for records in (await reader.read(timeout_s=0.2)).values():
                found += records
    return found


async def test_a_reader_gets_everything_in_order_with_key_headers_and_place(log: Log) -> None:
    await log.send(30)
    reader = log.reader([log.topic])
    await reader.start()
    records = await take(reader, 30)
    assert [record.value for record in records] == [str(n).encode() for n in range(30)]
    assert [record.offset for record in records] == list(range(30))
    assert {record.partition for record in records} == {partition_of(b"k", PARTITIONS)}
    assert {(record.key, record.headers) for record in records} == {(b"k", (("h", b"1"),))}
    await reader.close()


async def test_shares_of_the_partitions_all_get_some(log: Log) -> None:
    for partition in range(PARTITIONS):
        for receipt in [
            await log.sender.send(
                OutgoingRecord(topic=log.topic, key=b"k", value=b"v", partition=partition)
            )
            for _ in range(20)
        ]:
            await receipt
    member = log.member("shares", Listener())
    await member.start()
    reads: list[Mapping[TopicPartition, list[RawRecord]]] = []
    async with asyncio.timeout(WAIT_S):
        while sum(len(found) for read in reads for found in read.values()) < 20 * PARTITIONS:
            reads.append(await member.read(5, 0.2, shares=2))
    together = [{source.partition % 2 for source in read} for read in reads if len(read) > 1]
    assert together, "while there are records of both shares they come together"
    assert together == [{0, 1}] * len(together)
    assert {len(records) for read in reads for records in read.values()} == {5}
    assert max(map(len, reads)) == 2, "so many of each share, not of each partition"
    await member.close()


async def test_records_of_shares_that_come_while_it_waits_are_given(log: Log) -> None:
    member = log.member("waiting", Listener())
    await member.start()
    assert await member.read(5, 0.05, shares=2) == {}
    reading = asyncio.create_task(take_shares(member, 10))
    await log.send(10)
    assert [record.offset for record in await reading] == list(range(10))
    await member.close()


async def take_shares(member: GroupReader, count: int) -> list[RawRecord]:
    """Read so many records by more shares than there are partitions."""
    found: list[RawRecord] = []
    async with asyncio.timeout(WAIT_S):
        while len(found) < count:
            for records in (await member.read(5, 0.2, shares=2 * PARTITIONS)).values():
                found += records
    return found


async def test_an_explicit_partition_is_obeyed_and_one_that_does_not_exist_refused(
    log: Log,
) -> None:
    record = OutgoingRecord(topic=log.topic, key=b"k", value=b"v", partition=3)
    place = await (await log.sender.send(record))
    assert (place.partition, place.offset) == (3, 0)
    with pytest.raises(PartitionMismatch, match="has no partition 9"):
        await log.sender.send(OutgoingRecord(topic=log.topic, key=b"k", value=b"v", partition=9))


async def test_a_topic_that_does_not_exist_is_named(log: Log) -> None:
    with pytest.raises(TopicMissing, match="nowhere"):
        await log.sender.send(OutgoingRecord(topic="nowhere", key=b"k", value=b"v"))
    with pytest.raises(TopicMissing, match="nowhere"):
        await log.reader(["nowhere"]).start()


async def test_a_reader_knows_bounds_and_reads_from_where_it_is_sent(log: Log) -> None:
    await log.send(10)
    reader = log.reader([log.topic])
    await reader.start()
    ours = TopicPartition(log.topic, partition_of(b"k", PARTITIONS))
    assert sorted(await reader.partitions()) == [
        TopicPartition(log.topic, number) for number in range(PARTITIONS)
    ]
    assert set((await reader.beginning()).values()) == {0}
    assert (await reader.end())[ours] == 10
    first, *_ = await take(reader, 10)
    reader.seek(ours, 7)
    assert [record.offset for record in await take(reader, 3)] == [7, 8, 9]
    assert (await reader.offsets_at(first.timestamp_ms))[ours] == 0
    assert (await reader.offsets_at(first.timestamp_ms + 3_600_000))[ours] == 10
    await reader.close()


async def test_a_member_goes_on_from_the_commit_of_the_one_before(log: Log) -> None:
    await log.send(10)
    group, ours = unique("g"), TopicPartition(log.topic, partition_of(b"k", PARTITIONS))
    first = log.member(group, Listener())
    await first.start()
    await take(first, 10)
    await first.commit({ours: 6})
    await first.close()
    second = log.member(group, Listener())
    await second.start()
    assert [record.offset for record in await take(second, 4)] == [6, 7, 8, 9]
    await second.close()


async def test_the_listener_says_where_to_start(log: Log) -> None:
    await log.send(10)
    ours = TopicPartition(log.topic, partition_of(b"k", PARTITIONS))
    member = log.member(unique("g"), Listener(starts={ours: 8}))
    await member.start()
    assert [record.offset for record in await take(member, 2)] == [8, 9]
    await member.close()


async def test_what_a_listener_raises_is_raised_by_the_next_read(log: Log) -> None:
    class Broken(Listener):
        async def assigned(
            self, partitions: Iterable[TopicPartition]
        ) -> Mapping[TopicPartition, int]:
            raise LookupError("a foreign cluster")

    await log.send(1)
    member = log.member(unique("g"), Broken())
    await member.start()
    with pytest.raises(LookupError, match="a foreign cluster"):
        await member.read(timeout_s=0.2)
    await member.close()


async def test_partitions_are_shared_and_a_commit_for_a_lost_one_is_refused(log: Log) -> None:
    group, first_listener, second_listener = unique("g"), Listener(), Listener()
    first = log.member(group, first_listener)
    await first.start()
    assert len(first_listener.owned) == PARTITIONS
    second = log.member(group, second_listener)
    await second.start()
    async with asyncio.timeout(WAIT_S):
        while len(first_listener.owned) != PARTITIONS // 2:
            await first.read(timeout_s=0.05)
    assert len(second_listener.owned) == PARTITIONS // 2
    assert not first_listener.owned & second_listener.owned
    (lost, *_) = second_listener.owned
    with pytest.raises(CommitRefused):
        await first.commit({lost: 1})
    await second.close()
    async with asyncio.timeout(WAIT_S):
        while len(first_listener.owned) != PARTITIONS:
            await first.read(timeout_s=0.05)
    await first.close()
