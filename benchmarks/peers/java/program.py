"""The Java program of the peer: its jars, its classes, its command line.

Classes are compiled once for each text of the sources, by a compiler that is a jar itself: the
packaged Java runtime has none.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.peers.jars import downloaded, peer_cache
from infra.stack.jars import Jar, JarLock

KAFKA_STREAMS: Final = "4.3.1"
JARS_FILE: Final = Path(__file__).parent / "jars.json"
SOURCES: Final = Path(__file__).parent / "src"
_COMPILER: Final = "org.eclipse.jdt.internal.compiler.batch.Main"
_JAVA_RELEASE: Final = "25"


def streams_cache() -> Path:
    """The folder for the jars and classes of this peer."""
    return peer_cache(f"kafka-streams-{KAFKA_STREAMS}")


def class_path(cache: Path) -> tuple[Path, ...]:
    """The jars, downloaded where they are missing. Raises DownloadFailed."""
    content = json.loads(JARS_FILE.read_text())
    lock = JarLock(kafka=content["kafka"], jars=tuple(Jar(**jar) for jar in content["jars"]))
    return tuple(downloaded(f"Kafka Streams {lock.kafka}", lock, cache))


def compiled(java: Path, jars: Sequence[Path], cache: Path) -> Path:
    """The folder of the classes. Raises CalledProcessError, its output says what does not fit."""
    sources = sorted(SOURCES.glob("*.java"))
    text = hashlib.sha256(b"\0".join(source.read_bytes() for source in sources))
    classes = cache / f"classes-{text.hexdigest()[:16]}"
    if classes.is_dir():
        return classes
    unfinished = cache / f"{classes.name}-{os.getpid()}"
    path = ":".join(str(jar) for jar in jars)
    options = ("--release", _JAVA_RELEASE, "-nowarn", "-cp", path, "-d", str(unfinished))
    command = [str(java), "-cp", path, _COMPILER, *options, *map(str, sources)]
    subprocess.run(command, check=True, capture_output=True, text=True)  # no shell
    # Appears whole or not at all; who was first to compile the same sources has the same classes.
    if not classes.is_dir():
        unfinished.rename(classes)
    return classes


def run_command(java: Path, classes: Path, jars: Sequence[Path], config: Path) -> list[str]:
    """Run the peer with the whole compiler and the collector that the virtual machine chooses."""
    return [
        str(java),
        "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        "--enable-native-access=ALL-UNNAMED",
        "-cp",
        ":".join(str(entry) for entry in (classes, *jars)),
        "StreamsPeer",
        str(config),
    ]
