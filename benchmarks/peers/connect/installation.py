"""The jars of Kafka Connect and of what is plugged into it, locked and proven by SHA-256.

Connect loads a plugin apart from itself, so there are two sets: `worker` is the class path, and
`plugin` holds the sink, the converter and the driver.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.peers.jars import downloaded, peer_cache
from infra.stack.jars import Jar, JarLock, class_path

KAFKA_CONNECT: Final = "4.3.1"
DEBEZIUM: Final = "3.5.0.Final"
APICURIO: Final = "2.6.13.Final"
VERSIONS: Final = {
    "kafka-connect": KAFKA_CONNECT,
    "debezium-connector-jdbc": DEBEZIUM,
    "apicurio-registry-utils-converter": APICURIO,
}
JARS_FILE: Final = Path(__file__).parent / "jars.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectLock:
    """All jars that are locked."""

    worker: tuple[Jar, ...]
    plugin: tuple[Jar, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectJars:
    """The jars where they stand on this machine."""

    worker: tuple[Path, ...]
    plugin: tuple[Path, ...]


def load_lock() -> ConnectLock:
    """Read the lock that stands beside this module."""
    content = json.loads(JARS_FILE.read_text())
    return ConnectLock(
        worker=tuple(Jar(**jar) for jar in content["worker"]),
        plugin=tuple(Jar(**jar) for jar in content["plugin"]),
    )


def ensure_installed() -> ConnectJars:
    """The jars, downloaded where they are missing. Raises DownloadFailed."""
    lock, cache = load_lock(), peer_cache(f"debezium-jdbc-{DEBEZIUM}")
    needed = JarLock(kafka=KAFKA_CONNECT, jars=(*lock.worker, *lock.plugin))
    downloaded(f"Kafka Connect and Debezium {DEBEZIUM}", needed, cache)
    return ConnectJars(
        worker=tuple(class_path(lock.worker, cache)), plugin=tuple(class_path(lock.plugin, cache))
    )


def plugin_path(folder: Path, jars: Iterable[Path]) -> Path:
    """A folder that holds one plugin, which is made of these jars."""
    plugins = folder / "plugins"
    plugin = plugins / "debezium-jdbc"
    plugin.mkdir(parents=True)
    for jar in jars:
        (plugin / jar.name).symlink_to(jar)
    return plugins
