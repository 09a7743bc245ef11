"""The sender replaces clients that fail for good, also when their replacement fails."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import OutOfOrderSequenceNumber

from streams.errors import DeliveryFailed, TopicMissing
from streams.kafka import sender as sender_module
from streams.kafka.sender import KafkaSender
from streams.records import OutgoingRecord
from streams.settings import KafkaSettings

WAIT_S = 5.0

Delivery = asyncio.Future[Any]
Behaviour = Callable[[Delivery, int], None]
"""Settles a delivery, given how many records the client was given before; or raises."""


def delivers(delivery: Delivery, before: int) -> None:
    delivery.set_result(SimpleNamespace(topic="t", partition=0, offset=before))


def keeps(delivery: Delivery, before: int) -> None:
    """Neither delivers nor fails for now."""


def fails_its_first(delivery: Delivery, before: int) -> None:
    if before == 0:
        delivery.set_exception(OutOfOrderSequenceNumber())
    else:
        delivers(delivery, before)


def has_a_defect(delivery: Delivery, before: int) -> None:
    raise LookupError("a defect of the client")


class ScriptedBatch:
    """A batch that takes one record, so that each has a delivery of its own."""

    def __init__(self) -> None:
        self.values: list[bytes] = []

    def append(self, *, value: bytes, **_: object) -> object | None:
        if self.values:
            return None
        self.values.append(value)
        return self

    def close(self) -> None:
        """It is full anyway."""


class ScriptedClient:
    """A producer that does with its records what a test says."""

    client = None

    def __init__(self, behaviour: Behaviour) -> None:
        self.given: list[bytes] = []
        self.deliveries: list[Delivery] = []
        self._behaviour = behaviour

    def create_batch(self) -> ScriptedBatch:
        return ScriptedBatch()

    async def send_batch(self, batch: ScriptedBatch, topic: str, *, partition: int) -> Delivery:
        delivery: Delivery = asyncio.get_running_loop().create_future()
        self._behaviour(delivery, len(self.given))
        self.given += batch.values
        self.deliveries.append(delivery)
        # The client's own task runs between two records: a failure is known before the next one.
        await asyncio.sleep(0)
        return delivery

    async def stop(self) -> None:
        """Nothing is open."""


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> list[ScriptedClient]:
    """The clients that the sender gets, one after the other."""
    waiting: list[ScriptedClient] = []

    async def connect(settings: KafkaSettings, create: object) -> ScriptedClient:
        return waiting.pop(0)

    async def partitions(*_: object) -> Sequence[int]:
        return [0]

    async def abandon(client: ScriptedClient) -> None:
        """Its deliveries stay as they are."""

    monkeypatch.setattr(sender_module, "connect", connect)
    monkeypatch.setattr(sender_module, "wait_for_topic", partitions)
    monkeypatch.setattr(sender_module, "abandon", abandon)
    monkeypatch.setattr(sender_module, "RETRY_PAUSE_S", 0.0)
    return waiting


def record(number: int) -> OutgoingRecord:
    headers = (("ce_id", f"e{number}".encode()),)
    return OutgoingRecord(topic="t", key=b"k", value=str(number).encode(), headers=headers)


async def until_given(client: ScriptedClient) -> None:
    """Wait until the client has its first record."""
    async with asyncio.timeout(WAIT_S):
        while not client.deliveries:  # noqa: ASYNC110  # a fake has no event to wait for
            await asyncio.sleep(0)


def sender() -> KafkaSender:
    return KafkaSender(KafkaSettings(bootstrap="nowhere:1", acknowledge_timeout_s=None))


async def test_a_replacement_that_fails_too_is_replaced_with_all_records_in_order(
    clients: list[ScriptedClient],
) -> None:
    first, second, third = (
        ScriptedClient(behaviour) for behaviour in (keeps, fails_its_first, delivers)
    )
    clients += [first, second, third]
    sending = sender()
    receipts = [await sending.send(record(number)) for number in range(3)]
    await until_given(first)
    first.deliveries[0].set_exception(OutOfOrderSequenceNumber())
    async with asyncio.timeout(WAIT_S):
        places = [await receipt for receipt in receipts]
        late = await (await sending.send(record(3)))
    assert third.given[0] == b"0"
    assert third.given == sorted(third.given)
    assert [place.topic for place in [*places, late]] == ["t"] * 4
    await sending.close()


async def test_a_defect_while_replacing_gives_the_records_up_and_later_ones_are_sent(
    clients: list[ScriptedClient],
) -> None:
    first, second, third = (
        ScriptedClient(behaviour) for behaviour in (keeps, has_a_defect, delivers)
    )
    clients += [first, second, third]
    sending = sender()
    receipts = [await sending.send(record(number)) for number in range(2)]
    await until_given(first)
    first.deliveries[0].set_exception(OutOfOrderSequenceNumber())
    async with asyncio.timeout(WAIT_S):
        for number, receipt in enumerate(receipts):
            with pytest.raises(DeliveryFailed, match=f"e{number} .*a defect of the client"):
                await receipt
        await (await sending.send(record(2)))
        await (await sending.send(record(0)))
        await (await sending.send(record(1)))
    assert third.given == [b"2", b"0", b"1"]
    await sending.close()


@pytest.mark.parametrize("turns", range(10))
async def test_a_record_that_comes_as_its_line_runs_empty_is_sent_too(
    clients: list[ScriptedClient], turns: int
) -> None:
    client = ScriptedClient(delivers)
    clients += [client]
    sending = KafkaSender(
        KafkaSettings(bootstrap="nowhere:1", acknowledge_timeout_s=None, linger_ms=0)
    )
    first = await sending.send(record(0))
    for _ in range(turns):
        await asyncio.sleep(0)
    last = await sending.send(record(1))
    async with asyncio.timeout(WAIT_S):
        await first
        await last
    assert client.given == [b"0", b"1"]
    await sending.close()


async def test_a_topic_that_a_new_client_does_not_find_at_first_takes_no_others_with_it(
    clients: list[ScriptedClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = (ScriptedClient(kind) for kind in (keeps, delivers, delivers))
    clients += [first, second, third]
    sending = sender()
    receipts = [await sending.send(record(number)) for number in range(3)]
    await until_given(first)
    asked: list[object] = []

    async def not_at_first(*given: object) -> Sequence[int]:
        asked.append(given)
        if len(asked) == 1:
            raise TopicMissing("the broker has just started")
        return [0]

    monkeypatch.setattr(sender_module, "wait_for_topic", not_at_first)
    first.deliveries[0].set_exception(OutOfOrderSequenceNumber())
    async with asyncio.timeout(WAIT_S):
        for receipt in receipts:
            await receipt
    assert third.given == [b"0", b"1", b"2"]
    await sending.close()
