"""Writes `jars.json`: what Kafka Connect and the sink need, proven by SHA-256.

Run after a change of the versions: `python -m benchmarks.peers.connect.lock_jars`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Final

import jgo

from benchmarks.peers.connect.installation import APICURIO, DEBEZIUM, JARS_FILE, KAFKA_CONNECT
from benchmarks.peers.jar_lock import Locked, locked

WORKER: Final = (
    f"org.apache.kafka:connect-runtime:{KAFKA_CONNECT}",
    "org.slf4j:slf4j-simple:1.7.36",
)
PLUGIN: Final = (
    f"io.debezium:debezium-connector-jdbc:{DEBEZIUM}",
    f"io.apicurio:apicurio-registry-utils-converter:{APICURIO}",
    "com.kohlschutter.junixsocket:junixsocket-common:2.10.1",
    "com.kohlschutter.junixsocket:junixsocket-native-common:2.10.1",
)
OF_THE_WORKER: Final = (
    "com.fasterxml.jackson",
    "com.github.luben",
    "org.apache.kafka",
    "org.lz4",
    "org.slf4j",
    "org.xerial.snappy",
)
"""Groups that a plugin must find in the worker: a second copy of them would not fit the first."""

OTHER_DATABASES: Final = (
    "com.microsoft.sqlserver",
    "com.mysql",
    "com.oracle.database",
    "org.mariadb",
)


def main() -> None:
    """Resolve the coordinates and write the lock."""
    plugin = plugged_in(_resolve(coordinate) for coordinate in PLUGIN)
    worker = _resolve("+".join(WORKER))
    JARS_FILE.write_text(
        f'{{\n  "worker": [\n{_lines(worker)}\n  ],\n  "plugin": [\n{_lines(plugin)}\n  ]\n}}\n'
    )


def plugged_in(parts: Iterable[Sequence[Locked]]) -> list[Locked]:
    """What goes into the folder of the plugin. Raises ValueError where parts contradict.

    Parts are resolved one by one: together, one would choose versions for the other.
    """
    chosen: dict[tuple[object, object], Locked] = {}
    for jar in (jar for part in parts for jar in part):
        if str(jar["group"]).startswith((*OF_THE_WORKER, *OTHER_DATABASES)):
            continue
        known = chosen.setdefault((jar["group"], jar["artifact"]), jar)
        if known != jar:
            raise ValueError(f"two versions: {known} and {jar}")
    return [chosen[name] for name in sorted(chosen, key=str)]


def _resolve(coordinates: str) -> list[Locked]:
    return locked(jgo.resolve(coordinates))


def _lines(jars: Iterable[Locked]) -> str:
    return ",\n".join(f"    {json.dumps(jar)}" for jar in jars)


if __name__ == "__main__":
    main()
