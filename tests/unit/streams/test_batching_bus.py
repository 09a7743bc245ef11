"""Batching and compression in front of a publisher and of a bus: receipts, order, closing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from schemas.errors import InvalidEventData
from schemas.event import Event
from streams.batcher import BatchLimits, EventBatcher
from streams.bus.batching import BatchingBus
from streams.bus.memory import MemoryBus
from streams.compressing import Compressing
from streams.compressor import COMPRESSED_FROM
from streams.errors import BatchInterrupted, DeliveryFailed, NotDelivered
from streams.memory.log import MemoryLog
from tests.unit.streams.batching import ManualTime, ScriptedOutlet
from tests.unit.streams.bench import Bench
from tests.unit.streams.compressible import CATALOG, PROGRESSED, Orders, compressor

LIMITS = BatchLimits(events=100, interval_s=1, waiting=100)


@pytest.fixture
def orders() -> Orders:
    return Orders()


@pytest.fixture
def log() -> MemoryLog:
    return MemoryLog()


@pytest.fixture
async def bus(log: MemoryLog) -> BatchingBus:
    memory = MemoryBus("shop", log, CATALOG)
    return BatchingBus(memory, LIMITS, compressor=compressor(), later=ManualTime().later)


async def test_receipts_of_merged_events_resolve_to_the_place_of_the_event_they_became(
    bus: BatchingBus, log: MemoryLog, orders: Orders
) -> None:
    progressed = [await bus.publish(orders.progressed(step=n)) for n in range(3)]
    placed = await bus.publish(orders.placed())
    await bus.flush()
    places = {await receipt for receipt in progressed}
    assert len(places) == 1
    assert (await placed).offset == places.pop().offset + 1
    assert [receipt.event_id for receipt in progressed] == ["e0", "e1", "e2"]
    assert len(log.topic("events.domain.normal")) == 2
    await bus.close()


async def test_a_batch_goes_behind_what_was_published_before_and_is_merged_as_well(
    bus: BatchingBus, log: MemoryLog, orders: Orders
) -> None:
    first = await bus.publish(orders.placed())
    batch = await bus.publish_batch([orders.progressed(step=1), orders.progressed(step=2)])
    assert first.acknowledged
    assert len({await receipt for receipt in batch}) == 1
    assert len(log.topic("events.domain.normal")) == 2
    await bus.close()


async def test_subscribers_behind_a_batching_bus_see_what_was_merged(
    bus: BatchingBus, orders: Orders
) -> None:
    seen: asyncio.Queue[Event[Any]] = asyncio.Queue()

    async def note(event: Event[Any], context: object) -> None:
        seen.put_nowait(event)

    subscription = await bus.subscribe("order.*", note, name="note")
    await bus.publish_batch([orders.progressed(step=1), orders.progressed(step=2)])
    event = await asyncio.wait_for(seen.get(), 5)
    assert event.payload["step"] == 2
    assert event.metadata.extra[COMPRESSED_FROM] == "2"
    assert await bus.get_events("o1") == [event]
    assert await bus.get_events_by_correlation("c1") == [event]
    await bus.unsubscribe(subscription)
    await bus.close()


async def test_closing_hands_over_closes_the_bus_behind_and_names_what_was_refused(
    bus: BatchingBus, orders: Orders
) -> None:
    good, bad = orders.placed(), orders.placed()
    bad = Event(bad.envelope, {**bad.payload, "step": "two"})
    receipts = [await bus.publish(event) for event in (good, bad)]
    with pytest.raises(NotDelivered) as closed:
        await bus.close()
    assert closed.value.event_ids == (bad.id,)
    assert receipts[0].acknowledged
    with pytest.raises(InvalidEventData, match=r"data\.step"):
        await receipts[1]


async def test_a_bad_event_in_a_run_is_refused_alone(bus: BatchingBus, orders: Orders) -> None:
    events = [orders.progressed(step=n) for n in range(3)]
    events[2] = Event(events[2].envelope, {**events[2].payload, "step": "two"})
    receipts = [await bus.publish(event) for event in events]
    with pytest.raises(NotDelivered):
        await bus.close()
    assert [receipt.acknowledged for receipt in receipts] == [True, True, False]


async def test_a_defect_in_a_merge_function_loses_nothing(log: MemoryLog, orders: Orders) -> None:
    def defect(earlier: Mapping[str, Any], later: Mapping[str, Any]) -> Mapping[str, Any]:
        raise LookupError("no such field")

    bus = BatchingBus(
        MemoryBus("shop", log, CATALOG), LIMITS, compressor=compressor(**{PROGRESSED: defect})
    )
    receipts = [await bus.publish(orders.progressed()) for _ in range(2)]
    await bus.close()
    assert len({await receipt for receipt in receipts}) == 2


async def test_an_interrupted_batch_is_told_of_the_events_that_were_given(orders: Orders) -> None:
    outlet = ScriptedOutlet()
    outlet.breaks_after = [1]
    events = [orders.progressed(), orders.progressed(), orders.placed(), orders.progressed()]
    with pytest.raises(BatchInterrupted) as interrupted:
        await Compressing(outlet, compressor()).publish_batch(events)
    assert [receipt.event_id for receipt in interrupted.value.receipts] == ["e0", "e1"]
    assert interrupted.value.not_sent == ("e2", "e3")


async def test_callers_of_an_interrupted_batch_are_told_each_their_own_fate(orders: Orders) -> None:
    outlet = ScriptedOutlet()
    outlet.breaks_after = [1]
    batcher = EventBatcher(Compressing(outlet, compressor()), LIMITS, later=ManualTime().later)
    events = [orders.progressed(), orders.progressed(), orders.placed()]
    receipts = [await batcher.publish(event) for event in events]
    await batcher.flush()
    assert [receipt.acknowledged for receipt in receipts] == [True, True, False]
    with pytest.raises(DeliveryFailed):
        await receipts[2]


async def test_a_publisher_can_be_behind_a_batcher(bench: Bench) -> None:
    batcher = EventBatcher(bench.publisher(), LIMITS, later=ManualTime().later)
    synced = bench.factory.create_from_mapping(
        "integration.repository.synced",
        {"repository": "r1", "projectId": "p1", "files": 1, "bytes": 1},
        aggregate_id="r1",
    )
    receipt = await batcher.publish(synced)
    await batcher.close()
    assert (await receipt).topic == "events.integration.normal"
