"""Faust as its guide shows it: records, an agent, a table that the agent writes."""

import asyncio
import logging
from importlib.metadata import version
from typing import Any

import faust

from benchmarks.contract import Meter, RunConfig
from benchmarks.peers.handling import schema_reader

PARTITIONS = 4


class Aggregate(faust.Record):
    """The thing that an event is about."""

    kind: str
    id: str


class FileData(faust.Record):
    """What was counted in a file."""

    analysisId: str  # noqa: N815  # as on the wire
    projectId: str  # noqa: N815  # as on the wire
    path: str
    lines: int
    functions: int
    classes: int
    imports: int


class FileProcessed(faust.Record, serializer="json"):
    """The event."""

    id: str
    type: str
    category: str
    priority: str
    version: str
    timestamp: int
    source: str
    aggregate: Aggregate
    data: FileData


def build(config: RunConfig, meter: Meter) -> faust.App:
    """An app with one agent."""
    app = faust.App(
        config.group,
        broker=f"kafka://{config.bootstrap}",
        store="memory://",
        datadir=config.folder,
        topic_partitions=PARTITIONS,
        topic_replication_factor=1,
        web_enabled=False,
    )
    totals = app.Table("totals", default=list, partitions=PARTITIONS)
    projects = config.options["mode"] == "projection"
    handled = meter.handled
    if config.options["value"] == "record":
        topic = app.topic(config.topic, value_type=FileProcessed)
    else:
        topic = app.topic(config.topic, value_type=bytes, value_serializer="raw")
    read = schema_reader(config.schemas)

    def add(aggregate: str, lines: int) -> None:
        count, total = totals[aggregate] or (0, 0)
        totals[aggregate] = [count + 1, total + lines]

    async def on_record(events: Any) -> None:
        async for event in events:
            aggregate, lines = event.aggregate.id, event.data.lines
            if projects:
                add(aggregate, lines)
            handled(event.type, aggregate, lines)

    async def on_bytes(events: Any) -> None:
        async for value in events:
            event = read(value)
            aggregate, lines = event["aggregate"]["id"], event["data"]["lines"]
            if projects:
                add(aggregate, lines)
            handled(event["type"], aggregate, lines)

    app.agent(topic)(on_record if config.options["value"] == "record" else on_bytes)
    return app


async def run(config: RunConfig) -> Meter:
    """Work until all events are handled."""
    done = asyncio.Event()
    meter = Meter(config.events, config.warm_up, on_done=done.set)
    app = build(config, meter)
    await app.start()
    await done.wait()
    await app.stop()
    return meter


def main() -> None:
    """Measure and print."""
    logging.basicConfig(level=logging.WARNING)
    meter = asyncio.run(run(RunConfig.from_arguments()))
    packages = ("faust-streaming", "mode-streaming", "aiokafka")
    meter.measurement(versions={name: version(name) for name in packages}).print()


if __name__ == "__main__":
    main()
