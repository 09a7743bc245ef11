"""Batches without a broker: callers are told within their time limit, and close names every id."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.event import Event, EventFactory
from streams.batcher import BatchLimits
from streams.bus.batching import BatchingBus
from streams.bus.kafka import KafkaBus
from streams.errors import DeliveryFailed, NotDelivered
from streams.settings import KafkaSettings
from tests.contracts.rigs import JournalStore
from tests.integration.streams.own_broker import free_ports

pytestmark = pytest.mark.kafka
PATIENCE_S = 0.5


def synced(factory: EventFactory, number: int) -> Event[Any]:
    data = {"repository": f"r{number}", "projectId": "p1", "files": number, "bytes": 1}
    return factory.create_from_mapping(
        "integration.repository.synced", data, aggregate_id=f"r{number}"
    )


async def test_without_a_broker_every_receipt_fails_in_time_and_closing_names_all() -> None:
    catalog = Catalog.load()
    (port,) = free_ports(1)
    settings = KafkaSettings(
        bootstrap=f"127.0.0.1:{port}",
        connect_timeout_s=PATIENCE_S,
        acknowledge_timeout_s=PATIENCE_S,
    )
    kafka = KafkaBus("outage", settings, catalog, JournalStore(Codec(catalog)))
    bus = BatchingBus(kafka, BatchLimits(events=10, interval_s=0.01, waiting=100))
    factory = EventFactory(catalog, "outage")
    events = [synced(factory, number) for number in range(40)]
    began = time.monotonic()
    receipts = [await bus.publish(event) for event in events]
    outcomes = await asyncio.gather(*receipts, return_exceptions=True)
    assert all(isinstance(outcome, DeliveryFailed) for outcome in outcomes)
    with pytest.raises(NotDelivered) as closed:
        await bus.close()
    assert closed.value.event_ids == tuple(event.id for event in events)
    assert time.monotonic() - began < 10 * PATIENCE_S, "the broker was asked for each event"
