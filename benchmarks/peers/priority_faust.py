"""Faust with two agents, one a class: each reads a topic of its own."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import faust

from benchmarks.contract import RunConfig
from benchmarks.peers.handling import schema_reader
from benchmarks.priority_run import PriorityRun

PARTITIONS = 4


def build(config: RunConfig, run: PriorityRun) -> faust.App:
    """An app with two agents on raw values, decoded with fastavro."""
    app = faust.App(
        config.group,
        broker=f"kafka://{config.bootstrap}",
        datadir=config.folder,
        value_serializer="raw",
        topic_partitions=PARTITIONS,
        topic_replication_factor=1,
        web_enabled=False,
    )
    read = schema_reader(config.schemas)

    async def on_file(values: Any) -> None:
        async for value in values:
            event = read(value)
            run.take_low(event["type"], event["aggregate"]["id"], event["data"]["lines"])

    async def on_run(values: Any) -> None:
        async for value in values:
            event = read(value)
            due_ns = int(event["correlationId"])
            run.critical.take(event["type"], "", event["data"]["files"], due_ns)

    app.agent(app.topic(config.topic, value_type=bytes))(on_file)
    app.agent(app.topic(config.options["critical_topic"], value_type=bytes))(on_run)
    return app


async def measure(config: RunConfig) -> PriorityRun:
    """Work while CRITICAL events are sent."""
    run = PriorityRun(config)
    app = build(config, run)
    await app.start()
    await run.conduct()
    await app.stop()
    return run


def main() -> None:
    """Measure and print."""
    run = asyncio.run(measure(RunConfig.from_arguments()))
    packages = ("faust-streaming", "mode-streaming", "aiokafka")
    replace(run.measurement(), versions={name: version(name) for name in packages}).print()


if __name__ == "__main__":
    main()
