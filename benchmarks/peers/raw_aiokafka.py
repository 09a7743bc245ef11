"""aiokafka by hand: fetch, decode with fastavro, count per aggregate in a dict."""

from __future__ import annotations

import asyncio
from importlib.metadata import version

import uvloop
from aiokafka import AIOKafkaConsumer

from benchmarks.contract import Meter, RunConfig
from benchmarks.peers.handling import handler, schema_reader


async def consume(config: RunConfig, meter: Meter) -> None:
    """Read until all events are handled; commits as the client does by default."""
    read, handle = schema_reader(config.schemas), handler(config, meter)
    consumer = AIOKafkaConsumer(
        config.topic,
        bootstrap_servers=config.bootstrap,
        group_id=config.group,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=int(config.options["max_partition_fetch_bytes"]),
    )
    await consumer.start()
    try:
        while not meter.is_done:
            fetched = await consumer.getmany(
                timeout_ms=1_000, max_records=int(config.options["max_records"])
            )
            for records in fetched.values():
                for record in records:
                    handle(read(record.value))
    finally:
        await consumer.stop()


def main() -> None:
    """Measure and print."""
    config = RunConfig.from_arguments()
    meter = Meter(config.events, config.warm_up)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(consume(config, meter))
    packages = ("aiokafka", "fastavro", "uvloop")
    meter.measurement(versions={name: version(name) for name in packages}).print()


if __name__ == "__main__":
    main()
