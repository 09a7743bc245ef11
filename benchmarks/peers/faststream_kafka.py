"""FastStream with one subscriber, a message or a batch at a time; its decoder reads every event."""

from __future__ import annotations

import asyncio
from importlib.metadata import version
from typing import Any

import uvloop
from faststream import FastStream
from faststream.kafka import KafkaBroker

from benchmarks.contract import Meter, RunConfig
from benchmarks.peers.handling import handler, schema_reader


def subscribe(broker: KafkaBroker, config: RunConfig, meter: Meter) -> None:
    """Give the broker its subscriber."""
    read, handle = schema_reader(config.schemas), handler(config, meter)
    chosen = {"group_id": config.group, "auto_offset_reset": "earliest"}

    async def decode(message: Any) -> Any:
        return read(message.body)

    async def decode_all(message: Any) -> Any:
        return [read(value) for value in message.body]

    async def on_event(event: Any) -> None:
        handle(event)

    async def on_batch(events: Any) -> None:
        for event in events:
            handle(event)

    if config.options["batch"]:
        most = int(config.options["max_records"])
        broker.subscriber(config.topic, batch=True, max_records=most, decoder=decode_all, **chosen)(
            on_batch
        )
    else:
        broker.subscriber(config.topic, decoder=decode, **chosen)(on_event)


async def run(config: RunConfig) -> Meter:
    """Work until all events are handled."""
    broker = KafkaBroker(config.bootstrap, logger=None, apply_types=False)
    app = FastStream(broker, logger=None)
    meter = Meter(config.events, config.warm_up, on_done=app.exit)
    subscribe(broker, config, meter)
    await app.run()
    return meter


def main() -> None:
    """Measure and print."""
    config = RunConfig.from_arguments()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        meter = runner.run(run(config))
    packages = ("faststream", "aiokafka", "fastavro", "uvloop")
    meter.measurement(versions={name: version(name) for name in packages}).print()


if __name__ == "__main__":
    main()
