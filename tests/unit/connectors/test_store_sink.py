import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from connectors.errors import ForeignCluster
from connectors.settings import SinkSettings
from connectors.sink_reading import SinkReading
from connectors.sink_status import SinkStep
from connectors.store_sink import SinkEdges, StoreSink
from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.event import Event, EventFactory
from schemas.headers import event_headers
from schemas.topics import STORE_EVENTS
from streams.impatient_schemas import ImpatientSchemas
from streams.memory.group import MemoryGroupReader
from streams.memory.log import MemoryLog, MemorySender
from streams.memory.schemas import MemoryWriterSchemas
from streams.parking.letter import LAST_ERROR, REASON
from streams.reading import EventReading
from streams.records import OutgoingRecord, RawRecord, TopicPartition
from tests.unit.connectors.memory_target import MemoryTarget

CATALOG = Catalog.load()
CODEC = Codec(CATALOG)
FACTORY = EventFactory(CATALOG, source="tests")
NOW = datetime(2026, 1, 2, tzinfo=UTC)
SETTINGS = SinkSettings(first_delay_s=0, longest_delay_s=0, read_timeout_s=0.01, batch_records=10)


def started(number: int) -> Event[Any]:
    return FACTORY.create_from_mapping(
        "system.worker.started",
        {"process": "tests", "host": "local", "pid": number},
        id=f"e-{number}",
    )


def archived(event: Event[Any]) -> OutgoingRecord:
    return OutgoingRecord(
        topic=STORE_EVENTS,
        key=event.id.encode(),
        value=CODEC.encode(event),
        headers=event_headers(event),
    )


@dataclass
class Bench:
    """A sink between a log in memory and a database in memory."""

    log: MemoryLog = field(default_factory=MemoryLog)
    target: MemoryTarget = field(default_factory=MemoryTarget)
    steps: list[SinkStep] = field(default_factory=list)
    settings: SinkSettings = SETTINGS
    reader: type[MemoryGroupReader] = MemoryGroupReader

    def put(self, *events: Event[Any]) -> None:
        for event in events:
            self.log.append(archived(event))

    def sink(self, topic_id: str = "kafka-1") -> StoreSink:
        codec = Codec(CATALOG)
        schemas = ImpatientSchemas(MemoryWriterSchemas(self.log, codec, wait_s=0))
        edges = SinkEdges(
            readers=lambda listener: self.reader(
                self.log, SETTINGS.group, (STORE_EVENTS,), listener
            ),
            sender=MemorySender(self.log),
            target=self.target,
            reading=SinkReading(EventReading(codec, schemas, lambda _type: True), with_json=True),
            clock=lambda: NOW,
        )
        return StoreSink(
            edges, topic_id=topic_id, settings=self.settings, on_step=self.steps.append
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[StoreSink]:
        stop = asyncio.Event()
        sink = self.sink()
        task = asyncio.create_task(sink.run(stop))
        yield sink
        stop.set()
        await task

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition():  # noqa: ASYNC110  # the log in process has no other signal
                await asyncio.sleep(0)

    @property
    def is_drained(self) -> bool:
        ends = {p.partition: self.log.end(p) for p in self.log.partitions(STORE_EVENTS)}
        known = {at: claim.next for at, claim in self.target.offsets.items()}
        return all(known.get(at, 0) == end for at, end in ends.items())


async def test_every_archived_event_is_stored_with_its_bytes() -> None:
    bench = Bench()
    events = [started(number) for number in range(50)]
    bench.put(*events)
    async with bench.running():
        await bench.until(lambda: bench.is_drained)
    assert set(bench.target.rows) == {event.id for event in events}
    assert bench.target.rows["e-7"].framed == CODEC.encode(events[7])


async def test_each_writer_is_given_a_share_of_the_partitions() -> None:
    asked: list[int] = []

    class Noting(MemoryGroupReader):
        async def read(
            self, max_records: int = 500, timeout_s: float = 1.0, *, shares: int = 1
        ) -> Mapping[TopicPartition, list[RawRecord]]:
            asked.append(shares)
            return await super().read(max_records, timeout_s, shares=shares)

    bench = Bench(settings=replace(SETTINGS, writers=3), reader=Noting)
    bench.put(started(1))
    async with bench.running():
        await bench.until(lambda: bench.is_drained)
    assert set(asked) == {3}


async def test_an_event_that_comes_twice_is_stored_once() -> None:
    bench = Bench()
    bench.put(started(1), started(2), started(1))
    async with bench.running() as sink:
        await bench.until(lambda: bench.is_drained)
    assert set(bench.target.rows) == {"e-1", "e-2"}
    assert sink.status.stored + sink.status.repeated == 3


async def test_a_database_that_is_away_is_waited_for_and_nothing_is_buried() -> None:
    bench = Bench()
    bench.put(*(started(number) for number in range(20)))
    bench.target.away = 5
    async with bench.running() as sink:
        await bench.until(lambda: bench.is_drained)
        assert sink.status.waiting_for is None
    assert len(bench.target.rows) == 20
    assert sink.status.interruptions >= 1
    assert bench.log.topic("dlq.wundr") == []


async def test_a_commit_whose_reply_was_lost_is_neither_lost_nor_repeated() -> None:
    bench = Bench()
    bench.put(*(started(number) for number in range(20)))
    bench.target.lose_reply = True
    async with bench.running() as sink:
        await bench.until(lambda: bench.is_drained)
    assert len(bench.target.rows) == 20
    assert sink.status.fenced == 1
    assert sink.status.repeated == 0


async def test_a_sink_that_was_taken_over_joins_again() -> None:
    bench = Bench()
    bench.put(started(1))
    async with bench.running() as sink:
        await bench.until(lambda: bench.is_drained)
        await bench.target.claim("kafka-1", range(4))
        bench.put(started(2))
        await bench.until(lambda: bench.is_drained)
    assert set(bench.target.rows) == {"e-1", "e-2"}
    assert sink.status.fenced == 1


async def test_two_sinks_share_the_work_through_a_rebalance() -> None:
    bench = Bench()
    bench.put(*(started(number) for number in range(40)))
    async with bench.running():
        await bench.until(lambda: len(bench.target.rows) > 0)
        async with bench.running():
            bench.put(*(started(number) for number in range(40, 80)))
            await bench.until(lambda: bench.is_drained)
    assert len(bench.target.rows) == 80


async def test_a_new_sink_starts_from_the_database_whatever_kafka_says() -> None:
    bench = Bench()
    bench.put(*(started(number) for number in range(20)))
    async with bench.running():
        await bench.until(lambda: bench.is_drained)
    committed = bench.log.groups.committed(SETTINGS.group)
    assert sum(committed.values()) == 20
    for source in list(committed):
        committed[source] = 0
    bench.put(started(20))
    async with bench.running() as sink:
        await bench.until(lambda: bench.is_drained)
    assert (sink.status.stored, sink.status.repeated) == (1, 0)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"not ours", "schemas.not_an_event"),
        (CODEC.encode(started(9))[:-3], "schemas.truncated_event"),
        (b"\x00\x7f\xff\xff\xff" + b"x", "schemas.unknown_schema_id"),
    ],
)
async def test_what_is_no_event_becomes_a_dead_letter_with_its_bytes(
    value: bytes, reason: str
) -> None:
    bench = Bench()
    bench.log.append(OutgoingRecord(topic=STORE_EVENTS, key=b"k", value=value))
    bench.put(started(1))
    async with bench.running() as sink:
        await bench.until(lambda: bench.is_drained)
    [letter] = bench.log.topic("dlq.wundr")
    assert (letter.value, letter.header(REASON)) == (value, reason.encode())
    assert letter.header(LAST_ERROR)
    assert set(bench.target.rows) == {"e-1"}
    assert sink.status.dead_letters == 1
    assert bench.steps.index(SinkStep.DEAD_LETTERED) < bench.steps.index(SinkStep.STORED)


async def test_a_tombstone_moves_the_offset_and_nothing_else() -> None:
    bench = Bench()
    bench.log.append(OutgoingRecord(topic=STORE_EVENTS, key=b"gone", value=None))
    async with bench.running():
        await bench.until(lambda: bench.is_drained)
    assert bench.target.rows == {}
    assert bench.log.topic("dlq.wundr") == []


async def test_the_next_batch_is_read_while_one_is_stored() -> None:
    bench = Bench()
    bench.put(*(started(number) for number in range(30)))
    bench.target.open.clear()
    async with bench.running():
        await bench.until(lambda: bench.steps.count(SinkStep.READ) == 2)
        assert SinkStep.STORED not in bench.steps
        assert bench.target.rows == {}
        bench.target.open.set()
        await bench.until(lambda: bench.is_drained)
    assert len(bench.target.rows) == 30


async def test_what_was_read_ahead_of_a_rebalance_that_did_not_wait_is_read_again() -> None:
    bench = Bench(settings=replace(SETTINGS, revoke_patience_s=0.01))
    bench.put(*(started(number) for number in range(60)))
    bench.target.open.clear()
    async with bench.running() as first:
        await bench.until(lambda: bench.steps.count(SinkStep.READ) == 2)
        async with bench.running():
            await bench.until(lambda: bench.steps.count(SinkStep.CLAIMED) >= 3)
            bench.target.open.set()
            await bench.until(lambda: bench.is_drained)
            await bench.until(lambda: first.status.fenced > 0)
    assert set(bench.target.rows) == {f"e-{number}" for number in range(60)}


async def test_a_large_batch_is_stored_in_parts_and_each_advances_its_own_partitions() -> None:
    bench = Bench(settings=replace(SETTINGS, batch_records=2_000))
    bench.put(*(started(number) for number in range(2_000)))
    async with bench.running() as sink:
        await bench.until(lambda: bench.is_drained)
    assert len(bench.target.rows) == sink.status.stored == 2_000
    assert bench.target.calls > 1


async def test_another_kafka_is_refused_with_a_remedy() -> None:
    bench = Bench()
    bench.put(started(1))
    async with bench.running():
        await bench.until(lambda: bench.is_drained)
    with pytest.raises(ForeignCluster) as refusal:
        await bench.sink(topic_id="kafka-2").run(asyncio.Event())
    assert refusal.value.remedy


async def test_a_stop_leaves_the_group() -> None:
    bench = Bench()
    async with bench.running() as sink:
        await bench.until(lambda: SinkStep.JOINED in bench.steps)
    assert bench.log.groups._members[SETTINGS.group] == []
    assert sink.status.as_mapping()["status"] == "running"
