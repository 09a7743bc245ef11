"""Our bus: typed events, validated, encoded, announced, each with a receipt."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from itertools import cycle, islice
from typing import Any

import uvloop

from benchmarks.contract import Meter, RunConfig
from benchmarks.publishing import DIFFERENT
from benchmarks.samples import Producers, published_events
from benchmarks.systems.nothing_stored import NothingStored
from schemas.catalog import Catalog
from schemas.event import Event
from streams.bus.kafka import KafkaBus
from streams.bus.port import EventBus
from streams.receipt import Receipt
from streams.settings import KafkaSettings

LINGER_MS = 20


def new_events(count: int) -> Iterator[Event[Any]]:
    """So many new events: one that was encoded before would remember its wire mapping."""
    known = published_events(Producers(Catalog.load()), DIFFERENT)
    parts = [(event.envelope, event.data) for event in known]
    return (Event(envelope, data) for envelope, data in islice(cycle(parts), count))


async def publish(config: RunConfig, meter: Meter) -> None:
    """Publish all to Kafka."""
    settings = KafkaSettings(bootstrap=config.bootstrap, linger_ms=LINGER_MS)
    bus = KafkaBus("bench-publish", settings, Catalog.load(), NothingStored())
    await publish_through(bus, config, meter)


async def publish_through(bus: EventBus, config: RunConfig, meter: Meter) -> None:
    """Publish all; an event counts once its receipt is there, of which some thousands are open."""
    most = int(config.options["open"])
    unacknowledged: deque[tuple[Receipt, Event[Any]]] = deque()

    async def settle_one() -> None:
        receipt, event = unacknowledged.popleft()
        await receipt
        aggregate = event.aggregate
        meter.handled(event.type, aggregate.id if aggregate else "", event.data.lines)

    for event in new_events(config.events):
        unacknowledged.append((await bus.publish(event), event))
        if len(unacknowledged) > most:
            await settle_one()
    while unacknowledged:
        await settle_one()
    await bus.close()


def run_publisher(publish: Callable[[RunConfig, Meter], Coroutine[Any, Any, None]]) -> None:
    """Publish, measure and print."""
    config = RunConfig.from_arguments()
    meter = Meter(config.events, config.warm_up)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(publish(config, meter))
    meter.measurement().print()


def main() -> None:
    """Measure and print."""
    run_publisher(publish)


if __name__ == "__main__":
    main()
