"""Quix Streams: a dataframe whose function decodes with fastavro, with state when it projects."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from quixstreams import Application, State

from benchmarks.contract import Meter, RunConfig
from benchmarks.peers.handling import schema_reader


def main() -> None:
    """Measure and print."""
    config = RunConfig.from_arguments()
    app = Application(
        broker_address=config.bootstrap,
        consumer_group=config.group,
        auto_offset_reset="earliest",
        state_dir=config.folder,
        loglevel="WARNING",
    )
    meter = Meter(config.events, config.warm_up, on_done=app.stop)
    read = schema_reader(config.schemas)
    handled = meter.handled

    def on_event(value: bytes) -> None:
        event: Any = read(value)
        handled(event["type"], event["aggregate"]["id"], event["data"]["lines"])

    def project(value: bytes, state: State) -> None:
        event: Any = read(value)
        aggregate, lines = event["aggregate"]["id"], event["data"]["lines"]
        count, total = state.get("total", default=(0, 0))
        state.set("total", (count + 1, total + lines))
        handled(event["type"], aggregate, lines)

    topic = app.topic(config.topic, key_deserializer="bytes", value_deserializer="bytes")
    frame = app.dataframe(topic)
    if config.options["mode"] == "projection":
        frame.update(project, stateful=True)
    else:
        frame.update(on_event)
    app.run()
    packages = ("quixstreams", "confluent-kafka", "fastavro", "rocksdict")
    meter.measurement(versions={name: version(name) for name in packages}).print()


if __name__ == "__main__":
    main()
