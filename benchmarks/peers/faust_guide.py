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


def build(config: RunConfig) -> faust.App:
    """An app without an agent yet."""
    return faust.App(
        config.group,
        broker=f"kafka://{config.bootstrap}",
        store="memory://",
        datadir=config.folder,
        topic_partitions=PARTITIONS,
        topic_replication_factor=1,
        web_enabled=False,
    )


def give_agent(app: faust.App, config: RunConfig, meter: Meter) -> None:
    """One agent, on records or on bytes, with a table when it projects."""
    totals = app.Table("totals", default=list, partitions=PARTITIONS)
    projects = config.options["mode"] == "projection"
    read, handled = schema_reader(config.schemas), meter.handled

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

    if config.options["value"] == "record":
        app.agent(app.topic(config.topic, value_type=FileProcessed))(on_record)
    else:
        raw = app.topic(config.topic, value_type=bytes, value_serializer="raw")
        app.agent(raw)(on_bytes)


async def run(config: RunConfig) -> Meter:
    """Work until all events are handled."""
    done = asyncio.Event()
    meter = Meter(config.events, config.warm_up, on_done=done.set)
    app = build(config)
    give_agent(app, config, meter)
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
