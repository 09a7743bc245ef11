"""Our bus as callers use it who await each receipt before they publish the next event."""

from __future__ import annotations

from benchmarks.contract import Meter, RunConfig
from benchmarks.systems.nothing_stored import NothingStored
from benchmarks.systems.publish import publish_through, run_publisher
from schemas.catalog import Catalog
from streams.bus.kafka import KafkaBus
from streams.settings import KafkaSettings


async def publish(config: RunConfig, meter: Meter) -> None:
    """Publish all, one after the other; nothing is waited for but the broker."""
    settings = KafkaSettings(bootstrap=config.bootstrap, linger_ms=0)
    bus = KafkaBus("bench-singly", settings, Catalog.load(), NothingStored())
    await publish_through(bus, config, meter)


def main() -> None:
    """Measure and print."""
    run_publisher(publish)


if __name__ == "__main__":
    main()
