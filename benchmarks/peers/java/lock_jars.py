"""Writes `jars.json`: what Kafka Streams, Avro and the compiler need, proven by SHA-256.

Run after a change of the versions: `python -m benchmarks.peers.java.lock_jars`.
"""

from __future__ import annotations

import json
from typing import Final

import jgo

from benchmarks.peers.jar_lock import locked
from benchmarks.peers.java.program import JARS_FILE, KAFKA_STREAMS

COORDINATES: Final = (
    f"org.apache.kafka:kafka-streams:{KAFKA_STREAMS}",
    "org.apache.avro:avro:1.12.1",
    "org.slf4j:slf4j-simple:2.0.17",
    "org.eclipse.jdt:ecj:3.44.0",
)


def main() -> None:
    """Resolve the coordinates and write the lock."""
    lines = [f"    {json.dumps(jar)}" for jar in locked(jgo.resolve("+".join(COORDINATES)))]
    JARS_FILE.write_text(
        f'{{\n  "kafka": "{KAFKA_STREAMS}",\n  "jars": [\n' + ",\n".join(lines) + "\n  ]\n}\n"
    )


if __name__ == "__main__":
    main()
