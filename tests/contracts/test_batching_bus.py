"""What a stage of batches and compression keeps of the promises of the bus behind it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from schemas.catalog import Catalog
from schemas.errors import InvalidEventData
from schemas.event import Event, EventFactory
from schemas.events.integration import IntegrationRepositorySynced
from streams.batcher import BatchLimits
from streams.bus.batching import BatchingBus
from streams.bus.log_bus import LogBus
from streams.compressor import COMPRESSED_FROM, EventCompressor, later_wins
from streams.errors import NotDelivered
from tests.contracts.rigs import Collected, unique

OpenBus = Callable[..., Awaitable[LogBus]]
MakeEvent = Callable[..., Event[Any]]
SYNCED = "integration.repository.synced"
LIMITS = BatchLimits(events=50, interval_s=0.01, waiting=120)


async def test_everything_arrives_once_and_in_order_per_key(
    open_bus: OpenBus, synced: MakeEvent, correlation_id: str
) -> None:
    bus, seen = BatchingBus(await open_bus(unique("app")), LIMITS), Collected(correlation_id)
    await bus.subscribe(SYNCED, seen, name="seen")
    receipts = [await bus.publish(synced(f"r{n % 7}", files=n)) for n in range(700)]
    places = await asyncio.gather(*receipts)
    assert len(set(places)) == 700
    events = await seen.wait_for(700)
    for repository in {event.data.repository for event in events}:
        files = [event.data.files for event in events if event.data.repository == repository]
        assert files == sorted(set(files))
        assert len(files) == 100
    await bus.close()


async def test_a_bad_event_is_told_to_its_caller_alone(
    open_bus: OpenBus, synced: MakeEvent, factory: EventFactory
) -> None:
    bus = BatchingBus(await open_bus(unique("app")), LIMITS)
    files: Any = "three"
    bad = factory.create(
        IntegrationRepositorySynced(repository="bad", project_id="p", files=files, bytes=1),
        aggregate_id="bad",
    )
    events = [synced("good1"), bad, synced("good2")]
    good1, refused, good2 = [await bus.publish(event) for event in events]
    await asyncio.gather(good1, good2)
    with pytest.raises(InvalidEventData, match=r"data\.files"):
        await refused
    with pytest.raises(NotDelivered) as closed:
        await bus.close()
    assert closed.value.event_ids == (bad.id,)


async def test_closing_delivers_what_waits(
    open_bus: OpenBus, synced: MakeEvent, correlation_id: str
) -> None:
    seen = Collected(correlation_id)
    await (await open_bus(unique("app"))).subscribe(SYNCED, seen, name="seen")
    patient = BatchLimits(events=1_000, interval_s=3_600, waiting=1_000)
    bus = BatchingBus(await open_bus(unique("app")), patient)
    receipts = [await bus.publish(synced(f"r{n}")) for n in range(20)]
    await bus.close()
    assert all(receipt.acknowledged for receipt in receipts)
    assert len(await seen.wait_for(20)) == 20


async def test_merged_events_arrive_with_the_last_state_and_every_receipt_is_kept(
    open_bus: OpenBus, synced: MakeEvent, catalog: Catalog, correlation_id: str
) -> None:
    compressor = EventCompressor(catalog, {SYNCED: later_wins})
    patient = BatchLimits(events=1_000, interval_s=3_600, waiting=1_000)
    bus = BatchingBus(await open_bus(unique("app")), patient, compressor=compressor)
    seen = Collected(correlation_id)
    await bus.subscribe(SYNCED, seen, name="seen")
    receipts = [await bus.publish(synced(f"r{n % 3}", files=n)) for n in range(30)]
    await bus.flush()
    assert len(set(await asyncio.gather(*receipts))) == 3
    events = await seen.wait_for(3)
    assert {event.data.repository: event.data.files for event in events} == {
        "r0": 27,
        "r1": 28,
        "r2": 29,
    }
    assert {event.metadata.extra[COMPRESSED_FROM] for event in events} == {"10"}
    await bus.close()
