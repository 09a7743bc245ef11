"""confluent-kafka by hand: fetch, decode with fastavro, count per aggregate in a dict."""

from __future__ import annotations

from importlib.metadata import version

from confluent_kafka import Consumer

from benchmarks.contract import Meter, RunConfig
from benchmarks.peers.handling import handler, schema_reader


def main() -> None:
    """Measure and print."""
    config = RunConfig.from_arguments()
    meter = Meter(config.events, config.warm_up)
    read, handle = schema_reader(config.schemas), handler(config, meter)
    consumer = Consumer(
        {
            "bootstrap.servers": config.bootstrap,
            "group.id": config.group,
            "auto.offset.reset": "earliest",
            "log_level": 3,
        }
    )
    consumer.subscribe([config.topic])
    most = int(config.options["max_records"])
    while not meter.is_done:
        for message in consumer.consume(most, timeout=1.0):
            handle(read(message.value() or b""))
    consumer.close()
    packages = ("confluent-kafka", "fastavro")
    meter.measurement(versions={name: version(name) for name in packages}).print()


if __name__ == "__main__":
    main()
