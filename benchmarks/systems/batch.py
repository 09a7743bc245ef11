"""Our bus behind a stage of batches: every receipt awaited, of which some thousands are open."""

from __future__ import annotations

from benchmarks.contract import Meter, RunConfig
from benchmarks.systems.nothing_stored import NothingStored
from benchmarks.systems.publish import LINGER_MS, publish_through, run_publisher
from schemas.catalog import Catalog
from streams.batcher import BatchLimits
from streams.bus.batching import BatchingBus
from streams.bus.kafka import KafkaBus
from streams.settings import KafkaSettings


async def publish(config: RunConfig, meter: Meter) -> None:
    """Publish all in batches."""
    settings = KafkaSettings(bootstrap=config.bootstrap, linger_ms=LINGER_MS)
    kafka = KafkaBus("bench-batch", settings, Catalog.load(), NothingStored())
    limits = BatchLimits(events=int(config.options["batch"]), interval_s=LINGER_MS / 1_000)
    await publish_through(BatchingBus(kafka, limits), config, meter)


def main() -> None:
    """Measure and print."""
    run_publisher(publish)


if __name__ == "__main__":
    main()
