"""The client under our bus by hand: the same settings, encoder, key and headers."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from benchmarks.contract import Meter, RunConfig
from benchmarks.systems.publish import LINGER_MS, new_events, run_publisher
from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.event import Event
from schemas.headers import event_headers
from streams.kafka.clients import new_producer
from streams.settings import KafkaSettings


async def publish(config: RunConfig, meter: Meter) -> None:
    """Publish all; an event counts once it is acknowledged."""
    codec = Codec(Catalog.load())
    producer = new_producer(KafkaSettings(bootstrap=config.bootstrap, linger_ms=LINGER_MS))
    await producer.start()
    most = int(config.options["open"])
    unacknowledged: deque[tuple[asyncio.Future[Any], Event[Any]]] = deque()

    async def settle_one() -> None:
        delivery, event = unacknowledged.popleft()
        await delivery
        aggregate = event.aggregate
        meter.handled(event.type, aggregate.id if aggregate else "", event.data.lines)

    for event in new_events(config.events):
        delivery = await producer.send(
            config.topic,
            key=event.key.encode(),
            value=codec.encode(event),
            headers=list(event_headers(event)),
        )
        unacknowledged.append((delivery, event))
        if len(unacknowledged) > most:
            await settle_one()
    while unacknowledged:
        await settle_one()
    await producer.stop()


def main() -> None:
    """Measure and print."""
    run_publisher(publish)


if __name__ == "__main__":
    main()
