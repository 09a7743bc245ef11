"""Entries of a changelog go to Kafka many at a time, and are told apart in nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import OutOfOrderSequenceNumber
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from hypothesis import given
from hypothesis import strategies as st

from streams.attempts import Attempts
from streams.entry_sending import Stretch, send_whole, write_entries
from streams.errors import BrokerUnavailable
from streams.kafka import batching as batching_module
from streams.kafka import sender as sender_module
from streams.kafka.batching import WHOLE_BYTES, Batching, BatchTooSmall
from streams.kafka.clients import BATCH_BYTES
from streams.kafka.sender import KafkaSender
from streams.memory.log import MemoryLog, MemorySender
from streams.projecting import SENT_AT_ONCE, _parts
from streams.records import OutgoingEntries, OutgoingRecord
from streams.retry import RetrySchedule
from streams.runtime.patience import PatientSender
from streams.settings import KafkaSettings
from streams.traced import TracedSender
from streams.tracing import Tracing
from tests.unit.streams.buffered import until_all_wait
from tests.unit.streams.whole import TakesWhole

WAIT_S = 5.0
LZ4 = 3


class Client:
    """A producer with real batches; it delivers what it gets unless it `fails` or `keeps` that."""

    client = None

    def __init__(self, *, fails: bool = False) -> None:
        self.batches: list[BatchBuilder] = []
        self.offset = 10
        self.fails = fails
        self.keeps = False

    def create_batch(self) -> BatchBuilder:
        return BatchBuilder(BATCH_BYTES, LZ4)

    async def send_batch(
        self, batch: BatchBuilder, topic: str, *, partition: int
    ) -> asyncio.Future[Any]:
        self.batches.append(batch)
        delivery: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if self.fails:
            delivery.set_exception(OutOfOrderSequenceNumber())
        elif not self.keeps:
            delivery.set_result(SimpleNamespace(offset=self.offset))
            self.offset += batch.record_count()
        return delivery

    async def stop(self) -> None:
        """Nothing is open."""

    @property
    def given(self) -> list[tuple[bytes | None, bytes | None]]:
        """Keys and values, in order, as a broker reads them."""
        return [pair for batch in self.batches for pair in _read(batch)]


def _read(batch: BatchBuilder) -> list[tuple[bytes | None, bytes | None]]:
    found = MemoryRecords(bytes(batch._build())).next_batch()
    return [(it.key, it.value) for it in found or ()]


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> list[Client]:
    """The clients that the sender gets, one after the other."""
    waiting: list[Client] = []

    async def connect(settings: KafkaSettings, create: object) -> Client:
        return waiting.pop(0)

    async def partitions(*_: object) -> Sequence[int]:
        return [0]

    async def abandon(client: Client) -> None:
        """Its deliveries stay as they are."""

    monkeypatch.setattr(sender_module, "connect", connect)
    monkeypatch.setattr(sender_module, "wait_for_topic", partitions)
    monkeypatch.setattr(sender_module, "abandon", abandon)
    return waiting


def kafka_sender(buffer_records: int = 10_000) -> KafkaSender:
    return KafkaSender(
        KafkaSettings(
            bootstrap="nowhere:1",
            acknowledge_timeout_s=None,
            linger_ms=0,
            buffer_records=buffer_records,
        )
    )


def entries(*values: bytes) -> OutgoingEntries:
    return OutgoingEntries("t", 0, [(b"k%d" % at, value) for at, value in enumerate(values)])


async def known(sender: KafkaSender) -> None:
    """The topic is known to the client from its first record on."""
    await (await sender.send(OutgoingRecord("t", b"first", b"", partition=0)))


async def test_entries_have_one_receipt_and_follow_each_other(clients: list[Client]) -> None:
    client = Client()
    clients += [client]
    sender = kafka_sender()
    await known(sender)
    async with asyncio.timeout(WAIT_S):
        found = await write_entries(sender, [entries(b"a", b"b"), entries(b"c")])
    assert found == [Stretch("t", range(11, 13)), Stretch("t", range(13, 14))]
    assert client.given[1:] == [(b"k0", b"a"), (b"k1", b"b"), (b"k0", b"c")]
    assert [sample.value for sample in sender.samples()] == [4, 4, 0, 0]
    await sender.close()


async def test_entries_of_a_topic_that_is_not_known_yet_are_sent_one_by_one(
    clients: list[Client],
) -> None:
    clients += [Client()]
    sender = kafka_sender()
    assert await send_whole(sender, entries(b"a", b"b")) is None
    async with asyncio.timeout(WAIT_S):
        found = await write_entries(sender, [entries(b"a", b"b")])
    assert [at for it in found for at in it.offsets] == [10, 11]
    await sender.close()


async def test_entries_that_no_batch_holds_are_sent_one_by_one(clients: list[Client]) -> None:
    client = Client()
    clients += [client]
    sender = kafka_sender()
    await known(sender)
    large = entries(bytes(WHOLE_BYTES // 2), bytes(WHOLE_BYTES))
    assert await send_whole(sender, large) is None
    async with asyncio.timeout(WAIT_S):
        await write_entries(sender, [large])
    assert client.given[1:] == list(large.entries)
    await sender.close()


@pytest.mark.parametrize("before", [0, 1])
async def test_what_comes_behind_entries_that_cannot_be_encoded_is_told_its_true_place(
    clients: list[Client], before: int
) -> None:
    client = Client()
    clients += [client]
    sender = kafka_sender()
    await known(sender)
    records = [OutgoingRecord("t", b"r", b"", partition=0)] * (before + 1)
    receipts = [await sender.send(record) for record in records[:before]]
    with pytest.raises(TypeError):
        await send_whole(sender, entries(b"a", "text"))  # type: ignore[arg-type]  # as it may be
    receipts += [await sender.send(record) for record in records[before:]]
    async with asyncio.timeout(WAIT_S):
        places = [await receipt for receipt in receipts]
    assert [client.given[place.offset - 10][0] for place in places] == [b"r"] * len(records)
    assert before or client.given == [(b"first", b""), (b"r", b"")], "a part was sent for nobody"
    await sender.close()


async def test_a_record_that_no_batch_takes_is_refused(clients: list[Client]) -> None:
    class Full(Client):
        def create_batch(self) -> BatchBuilder:
            batch = super().create_batch()
            batch.close()
            return batch

    clients += [Full()]
    sender = kafka_sender()
    with pytest.raises(BatchTooSmall):
        await sender.send(OutgoingRecord("t", b"first", b"", partition=0))
    await sender.close()


@pytest.mark.parametrize("before", [0, 1])
async def test_entries_that_a_batch_does_not_hold_after_all_are_acknowledged_nowhere(
    clients: list[Client], monkeypatch: pytest.MonkeyPatch, before: int
) -> None:
    client = Client()
    clients += [client]
    sender = kafka_sender()
    await known(sender)
    monkeypatch.setattr(batching_module, "_size_of", lambda _: 0)
    records = [OutgoingRecord("t", b"r", b"", partition=0)] * (before + 1)
    receipts = [await sender.send(record) for record in records[:before]]
    with pytest.raises(BatchTooSmall):
        await send_whole(sender, entries(*[bytes(1_000)] * 200))
    receipts += [await sender.send(record) for record in records[before:]]
    async with asyncio.timeout(WAIT_S):
        places = [await receipt for receipt in receipts]
    assert [client.given[place.offset - 10][0] for place in places] == [b"r"] * len(records)
    assert [sample.value for sample in sender.samples()] == [202 + before, 2 + before, 200, 0]
    await sender.close()


async def test_a_client_that_fails_leaves_whole_entries_to_its_successor(
    clients: list[Client],
) -> None:
    first, second = Client(), Client()
    clients += [first, second]
    sender = kafka_sender()
    await known(sender)
    first.fails = True
    sent = [entries(b"a", b"b"), entries(b"c", b"d")]
    async with asyncio.timeout(WAIT_S):
        found = await write_entries(sender, sent)
    assert found == [Stretch("t", range(10, 12)), Stretch("t", range(12, 14))]
    assert second.given == [pair for one in sent for pair in one.entries]
    await sender.close()


async def test_entries_for_which_there_is_no_room_wait_for_it(clients: list[Client]) -> None:
    clients += [Client()]
    sender = kafka_sender(buffer_records=2)
    await known(sender)
    async with asyncio.timeout(WAIT_S):
        found = await write_entries(
            sender, [entries(b"a", b"b", b"c"), entries(b"d"), entries(b"e")]
        )
    assert [len(it.offsets) for it in found] == [3, 1, 1]
    await sender.close()


async def full_sender(clients: list[Client]) -> KafkaSender:
    """One whose buffer holds two entries, which nobody acknowledges."""
    client = Client()
    clients += [client]
    sender = kafka_sender(buffer_records=2)
    await known(sender)
    client.keeps = True
    assert await send_whole(sender, entries(b"a", b"b")) is not None
    return sender


async def test_no_more_entries_are_taken_than_the_buffer_and_one_send_hold(
    clients: list[Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    sender = await full_sender(clients)
    waiting = asyncio.create_task(send_whole(sender, entries(b"c")))
    await until_all_wait()
    assert not waiting.done()
    monkeypatch.setattr(sender_module, "DRAIN_S", 0.0)
    await sender.close()
    async with asyncio.timeout(WAIT_S):
        assert await waiting is None


async def test_entries_whose_sender_closes_as_they_wait_keep_nobody_behind_them_waiting(
    clients: list[Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    sender = await full_sender(clients)
    whole = [asyncio.create_task(send_whole(sender, entries(b"c"))) for _ in range(2)]
    await until_all_wait()
    behind = [
        asyncio.create_task(sender.send(OutgoingRecord("t", b"k", b"", partition=0)))
        for _ in range(2)
    ]
    await until_all_wait()
    monkeypatch.setattr(sender_module, "DRAIN_S", 0.0)
    await sender.close()
    async with asyncio.timeout(WAIT_S):
        assert await asyncio.gather(*whole) == [None, None]
        refused = await asyncio.gather(*behind, return_exceptions=True)
    assert [type(it) for it in refused] == [BrokerUnavailable, BrokerUnavailable]


async def test_a_client_that_comes_after_the_close_is_given_no_entries(
    clients: list[Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    comes = asyncio.Event()

    async def connect(*_: object) -> Client:
        await comes.wait()
        return Client()

    monkeypatch.setattr(sender_module, "connect", connect)
    monkeypatch.setattr(sender_module, "DRAIN_S", 0.0)
    sender = kafka_sender()
    first = asyncio.create_task(sender.send(OutgoingRecord("t", b"first", b"", partition=0)))
    await until_all_wait()
    await sender.close()
    comes.set()
    await asyncio.wait({first}, timeout=WAIT_S)
    assert await send_whole(sender, entries(b"a")) is None


async def test_a_topic_that_the_client_does_not_know_is_for_single_records(
    clients: list[Client],
) -> None:
    clients += [Client()]
    sender = kafka_sender()
    await known(sender)
    assert await send_whole(sender, entries(b"a")._replace(topic="u")) is None
    assert await send_whole(sender, entries(b"a")._replace(partition=1)) is None
    await sender.close()


async def test_others_work_between_two_parts_that_are_sent() -> None:
    log = MemoryLog()
    seen: list[int] = []

    async def look() -> None:
        while len(seen) < 3:
            seen.append(len(log.topic("t")))
            await asyncio.sleep(0)

    looking = asyncio.create_task(look())
    await write_entries(MemorySender(log), [entries(b"a", b"b"), entries(b"c"), entries(b"d")])
    await looking
    assert seen == [2, 3, 4]


@pytest.mark.parametrize("value_bytes", [104, 300, 3_000, 40_000])
@pytest.mark.parametrize("slot_bytes", [4_000, 30_000, 200_000])
def test_all_of_a_batch_of_a_table_goes_whole_but_for_what_is_large_by_itself(
    slot_bytes: int, value_bytes: int
) -> None:
    values = {b"ids/0": bytes(slot_bytes)}
    values |= dict.fromkeys([b"key-%06d" % number for number in range(600)], bytes(value_bytes))
    parts = list(_parts(values))
    assert [entry for part in parts for entry in part] == list(values.items())
    assert max(map(len, parts)) <= SENT_AT_ONCE
    singly = [part for part in parts if not Batching.takes_whole(OutgoingEntries("t", 0, part))]
    large = [[b"ids/0"]] if slot_bytes > WHOLE_BYTES else []
    assert [[key for key, _ in part] for part in singly] == large


async def test_a_sender_that_knows_records_alone_is_given_records() -> None:
    log = MemoryLog()
    found = await write_entries(MemorySender(log), [entries(b"a", b"b")])
    assert found == [Stretch("t", range(1)), Stretch("t", range(1, 2))]
    assert [record.value for record in log.topic("t")] == [b"a", b"b"]


async def test_patience_leaves_to_single_records_what_goes_wrong(clients: list[Client]) -> None:
    clients += [Client()]
    sender = kafka_sender()
    await sender.close()
    patient = PatientSender(sender, Attempts(RetrySchedule()))
    assert await send_whole(patient, entries(b"a")) is None


@given(sizes=st.lists(st.integers(0, WHOLE_BYTES // 256 - 64), min_size=1, max_size=256))
def test_an_empty_batch_has_room_for_all_that_go_together(sizes: list[int]) -> None:
    whole = entries(*map(bytes, sizes))
    client = Client()

    async def send() -> None:
        sender = kafka_sender()
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(sender_module, "connect", _giving(client))
            patched.setattr(sender_module, "wait_for_topic", _one_partition)
            await known(sender)
            receipts = [await send_whole(sender, whole) for _ in range(4)]
            assert None not in receipts
            await sender.close()

    asyncio.run(send())
    assert client.given[1:] == list(whole.entries) * 4


async def test_senders_around_another_hand_on_what_goes_whole() -> None:
    inner = TakesWhole()
    patient = PatientSender(inner, Attempts(RetrySchedule()))
    whole = entries(b"a", b"b")
    for outer in (patient, TracedSender(inner, Tracing(SimpleNamespace()))):
        assert await send_whole(outer, whole) is inner.receipt
    assert inner.given == [whole, whole]


def _giving(client: Client) -> Any:
    async def connect(*_: object) -> Client:
        return client

    return connect


async def _one_partition(*_: object) -> Sequence[int]:
    return [0]
