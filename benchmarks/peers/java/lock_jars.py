"""Writes `jars.json`: what Kafka Streams, Avro and the compiler need, proven by SHA-256.

Run after a change of the versions: `python -m benchmarks.peers.java.lock_jars`.
"""

from __future__ import annotations

import hashlib
import json
from typing import Final

import jgo

from benchmarks.peers.java.program import JARS_FILE, KAFKA_STREAMS

COORDINATES: Final = (
    f"org.apache.kafka:kafka-streams:{KAFKA_STREAMS}",
    "org.apache.avro:avro:1.12.1",
    "org.slf4j:slf4j-simple:2.0.17",
    "org.eclipse.jdt:ecj:3.44.0",
)


def main() -> None:
    """Resolve the coordinates and write the lock."""
    lines = []
    for artifact in sorted(jgo.resolve("+".join(COORDINATES)), key=str):
        content = artifact.resolve().read_bytes()
        jar = {
            "group": artifact.groupId,
            "artifact": artifact.artifactId,
            "version": artifact.version,
            "sha256": hashlib.sha256(content).hexdigest(),
            "size": len(content),
        }
        lines.append(f"    {json.dumps(jar)}")
    JARS_FILE.write_text(
        f'{{\n  "kafka": "{KAFKA_STREAMS}",\n  "jars": [\n' + ",\n".join(lines) + "\n  ]\n}\n"
    )


if __name__ == "__main__":
    main()
