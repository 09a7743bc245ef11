"""aiokafka by hand between a producer process and this one: the pipe that ours is measured by."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from importlib.metadata import version

import uvloop
from aiokafka import AIOKafkaConsumer

from benchmarks.contract import RunConfig
from benchmarks.latency_run import LatencyRun
from benchmarks.peers.handling import schema_reader

SENDER = (sys.executable, "-m", "benchmarks.peers.latency_aiokafka_sender")


async def consume(config: RunConfig, run: LatencyRun) -> None:
    """Read, decode with fastavro and note every event until told to stop."""
    read, take = schema_reader(config.schemas), run.arrivals.take
    consumer = AIOKafkaConsumer(
        config.topic,
        bootstrap_servers=config.bootstrap,
        group_id=config.group,
        auto_offset_reset="earliest",
    )
    await consumer.start()
    try:
        while True:
            fetched = await consumer.getmany(timeout_ms=100)
            for records in fetched.values():
                for record in records:
                    event = read(record.value)
                    take(
                        event["type"],
                        event["aggregate"]["id"],
                        event["data"]["files"],
                        int(event["correlationId"]),
                    )
    finally:
        await consumer.stop()


async def measure(config: RunConfig) -> LatencyRun:
    """Consume while the rates are offered."""
    run = LatencyRun(config, SENDER)
    consuming = asyncio.create_task(consume(config, run))
    conducting = asyncio.create_task(run.conduct())
    await asyncio.wait({consuming, conducting}, return_when=asyncio.FIRST_COMPLETED)
    consuming.cancel()
    await asyncio.wait({consuming})
    conducting.result()
    return run


def main() -> None:
    """Measure and print."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        run = runner.run(measure(RunConfig.from_arguments()))
    packages = ("aiokafka", "fastavro", "uvloop")
    replace(run.measurement(), versions={name: version(name) for name in packages}).print()


if __name__ == "__main__":
    main()
