"""The sender replaces clients that fail for good, also when their replacement fails."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest
from aiokafka.errors import OutOfOrderSequenceNumber

from schemas.topics import LARGEST_COPY
from streams.errors import (
    BrokerUnavailable,
    DeliveryFailed,
    NotDelivered,
    RecordRefused,
    TopicMissing,
)
from streams.kafka import sender as sender_module
from streams.kafka.sender import KafkaSender
from streams.settings import KafkaSettings
from tests.unit.streams.scripted_client import (
    WAIT_S,
    ScriptedClient,
    delivers,
    fails_its_first,
    has_a_defect,
    keeps,
    record,
    refuses_its_first,
    until_given,
)


@pytest.fixture
def abandoned() -> list[ScriptedClient]:
    """The clients that were let go without being asked to finish."""
    return []


@pytest.fixture
def clients(
    monkeypatch: pytest.MonkeyPatch, abandoned: list[ScriptedClient]
) -> list[ScriptedClient]:
    """The clients that the sender gets, one after the other."""
    waiting: list[ScriptedClient] = []

    async def connect(settings: KafkaSettings, create: object) -> ScriptedClient:
        return waiting.pop(0)

    async def partitions(*_: object) -> Sequence[int]:
        return [0]

    async def abandon(client: ScriptedClient) -> None:
        abandoned.append(client)  # its deliveries stay as they are

    monkeypatch.setattr(sender_module, "connect", connect)
    monkeypatch.setattr(sender_module, "wait_for_topic", partitions)
    monkeypatch.setattr(sender_module, "abandon", abandon)
    monkeypatch.setattr(sender_module, "RETRY_PAUSE_S", 0.0)
    return waiting


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
    clients: list[ScriptedClient],
    abandoned: list[ScriptedClient],
    monkeypatch: pytest.MonkeyPatch,
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
    assert abandoned == [first, second]
    await sending.close()


async def until_it_is(condition: Callable[[], bool]) -> None:
    """Let others work until the condition holds."""
    async with asyncio.timeout(WAIT_S):
        while not condition():  # noqa: ASYNC110  # a fake has no event to wait for
            await asyncio.sleep(0)


async def turns(number: int = 20) -> None:
    """Let others work for a while."""
    for _ in range(number):
        await asyncio.sleep(0)


def counted(sending: KafkaSender) -> list[object]:
    """Records that the sender has taken, and that were acknowledged, given up, and wait."""
    return [sample.value for sample in sending.samples()]


async def test_a_closed_sender_takes_no_record_and_counts_none(
    clients: list[ScriptedClient],
) -> None:
    clients += [ScriptedClient(delivers)]
    sending = sender()
    await (await sending.send(record(0)))
    await sending.close()
    with pytest.raises(BrokerUnavailable, match="closed"):
        await sending.send(record(1))
    assert counted(sending) == [1, 1, 0, 0]


async def test_a_record_that_no_topic_takes_is_refused_before_a_client_has_it(
    clients: list[ScriptedClient],
) -> None:
    client = ScriptedClient(delivers)
    clients += [client]
    sending = sender()
    await (await sending.send(record(0)))
    with pytest.raises(RecordRefused, match="bytes for t"):
        await sending.send(record(1)._replace(value=bytes(LARGEST_COPY)))
    await (await sending.send(record(2)))
    await sending.close()
    assert client.given == [b"0", b"2"]


async def test_a_large_record_that_a_topic_takes_is_sent(clients: list[ScriptedClient]) -> None:
    client = ScriptedClient(delivers)
    clients += [client]
    sending = sender()
    await (await sending.send(record(0)))
    large = bytes(LARGEST_COPY - 100)
    await (await sending.send(record(1)._replace(value=large)))
    await sending.close()
    assert client.given == [b"0", large]


async def test_a_record_for_which_there_is_no_room_waits_for_an_acknowledgement(
    clients: list[ScriptedClient],
) -> None:
    client = ScriptedClient(keeps)
    clients += [client]
    sending = KafkaSender(
        KafkaSettings(bootstrap="nowhere:1", acknowledge_timeout_s=None, buffer_records=1)
    )
    await sending.send(record(0))
    second = asyncio.create_task(sending.send(record(1)))
    await until_given(client)
    await turns()
    assert (second.done(), counted(sending)) == (False, [1, 0, 0, 1])
    delivers(client.deliveries[0], 0)
    async with asyncio.timeout(WAIT_S):
        receipt = await second
        await until_it_is(lambda: len(client.deliveries) == 2)
        delivers(client.deliveries[1], 1)
        await receipt
    await sending.close()
    assert client.given == [b"0", b"1"]


async def test_who_waits_for_room_is_told_when_the_sender_closes(
    clients: list[ScriptedClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender_module, "DRAIN_S", 0.0)
    client = ScriptedClient(keeps)
    clients += [client]
    sending = KafkaSender(
        KafkaSettings(bootstrap="nowhere:1", acknowledge_timeout_s=None, buffer_records=1)
    )
    first = await sending.send(record(0))
    second = asyncio.create_task(sending.send(record(1)))
    await until_given(client)
    with pytest.raises(NotDelivered, match="e0"):
        await sending.close()
    with pytest.raises(DeliveryFailed):
        await first
    with pytest.raises(BrokerUnavailable, match="closed"):
        await asyncio.wait_for(second, WAIT_S)
    assert client.given == [b"0"]


async def test_a_record_whose_client_was_replaced_meanwhile_goes_to_the_new_one(
    clients: list[ScriptedClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = ScriptedClient(keeps), ScriptedClient(delivers)
    clients += [first, second]
    asked, is_known = asyncio.Event(), asyncio.Event()

    async def partitions(_: object, topic: str, __: object) -> Sequence[int]:
        if topic == "unknown":
            asked.set()
            await is_known.wait()
        return [0]

    monkeypatch.setattr(sender_module, "wait_for_topic", partitions)
    sending = sender()
    receipts = [await sending.send(record(0))]
    await until_given(first)
    other = asyncio.create_task(sending.send(record(1)._replace(topic="unknown")))
    async with asyncio.timeout(WAIT_S):
        await asked.wait()
        first.deliveries[0].set_exception(OutOfOrderSequenceNumber())
        await receipts[0]
        is_known.set()
        await (await other)
    await sending.close()
    assert (first.given, second.given) == ([b"0"], [b"0", b"1"])


async def test_a_client_that_failed_is_abandoned_and_sends_nothing_more(
    clients: list[ScriptedClient], abandoned: list[ScriptedClient]
) -> None:
    first, second, third = (ScriptedClient(kind) for kind in (keeps, fails_its_first, delivers))
    clients += [first, second, third]
    sending = sender()
    receipts = [await sending.send(record(number)) for number in range(20)]
    await until_given(first)
    first.deliveries[0].set_exception(OutOfOrderSequenceNumber())
    async with asyncio.timeout(WAIT_S):
        for receipt in receipts:
            await receipt
    await sending.close()
    assert abandoned == [first, second]
    assert len(first.given) < len(receipts), "it went on sending while it was replaced"


async def closed_while_it_connects(
    client: ScriptedClient, monkeypatch: pytest.MonkeyPatch
) -> asyncio.Task[None]:
    """What starts a sender that was closed before its client was there; now it is."""
    asked, is_there = asyncio.Event(), asyncio.Event()

    async def connect(settings: KafkaSettings, create: object) -> ScriptedClient:
        asked.set()
        await is_there.wait()
        return client

    monkeypatch.setattr(sender_module, "connect", connect)
    sending = sender()
    starting = asyncio.create_task(sending.start())
    async with asyncio.timeout(WAIT_S):
        await asked.wait()
        await sending.close()
    is_there.set()
    return starting


async def test_a_client_that_connects_as_its_sender_is_closed_is_let_go(
    clients: list[ScriptedClient],
    abandoned: list[ScriptedClient],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = ScriptedClient(delivers)
    starting = await closed_while_it_connects(client, monkeypatch)
    async with asyncio.timeout(WAIT_S):
        with pytest.raises(BrokerUnavailable, match="closed"):
            await starting
    assert abandoned == [client]


async def test_a_client_is_let_go_also_when_nobody_waits_for_that_any_more(
    clients: list[ScriptedClient],
    abandoned: list[ScriptedClient],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client, begun, may_end = ScriptedClient(delivers), asyncio.Event(), asyncio.Event()

    async def abandon(late: ScriptedClient) -> None:
        begun.set()
        await may_end.wait()
        abandoned.append(late)

    monkeypatch.setattr(sender_module, "abandon", abandon)
    starting = await closed_while_it_connects(client, monkeypatch)
    async with asyncio.timeout(WAIT_S):
        await begun.wait()
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        may_end.set()
        while not abandoned:  # noqa: ASYNC110  # what lets go has nobody left to tell
            await asyncio.sleep(0)
    assert abandoned == [client]


async def test_a_record_that_the_broker_refuses_fails_alone_and_its_client_stays(
    clients: list[ScriptedClient], abandoned: list[ScriptedClient]
) -> None:
    client = ScriptedClient(refuses_its_first)
    clients += [client, ScriptedClient(delivers)]
    sending = sender()
    refused, *others = [await sending.send(record(number)) for number in range(3)]
    async with asyncio.timeout(WAIT_S):
        with pytest.raises(RecordRefused):
            await refused
        for receipt in others:
            await receipt
        await turns()
        await (await sending.send(record(3)))
    assert (client.given, abandoned) == ([b"0", b"1", b"2", b"3"], [])
    with pytest.raises(NotDelivered):
        await sending.close()
