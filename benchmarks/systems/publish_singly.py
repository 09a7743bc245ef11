"""Our bus as callers use it who await each receipt before they publish the next event."""

from __future__ import annotations

import asyncio

import uvloop

from benchmarks.contract import Meter, RunConfig
from benchmarks.systems.nothing_stored import NothingStored
from benchmarks.systems.publish import new_events
from schemas.catalog import Catalog
from streams.bus.kafka import KafkaBus
from streams.settings import KafkaSettings


async def publish(config: RunConfig, meter: Meter) -> None:
    """Publish all, one after the other; nothing is waited for but the broker."""
    settings = KafkaSettings(bootstrap=config.bootstrap, linger_ms=0)
    bus = KafkaBus("bench-singly", settings, Catalog.load(), NothingStored())
    for event in new_events(config.events):
        await (await bus.publish(event))
        aggregate = event.aggregate
        meter.handled(event.type, aggregate.id if aggregate else "", event.data.lines)
    await bus.close()


def main() -> None:
    """Measure and print."""
    config = RunConfig.from_arguments()
    meter = Meter(config.events, config.warm_up)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(publish(config, meter))
    meter.measurement().print()


if __name__ == "__main__":
    main()
