"""The jars of Apache Kafka, downloaded once per machine and proven by SHA-256.

`kafka-jars.json` names every jar (resolved beforehand by jgo), so a start asks no repository what
it needs; a jar whose bytes differ from the lock is refused.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from infra.errors import DownloadFailed

_LOCK = Path(__file__).parent / "kafka-jars.json"
_DOWNLOADS_AT_ONCE = 8
_ATTEMPTS = 3
_TIMEOUT_S = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Jar:
    """One locked Maven artefact; `size` in bytes."""

    group: str
    artifact: str
    version: str
    sha256: str
    size: int

    @property
    def path(self) -> Path:
        """Where it stands in a Maven repository."""
        file = f"{self.artifact}-{self.version}.jar"
        return Path(*self.group.split("."), self.artifact, self.version, file)


@dataclass(frozen=True, slots=True, kw_only=True)
class JarLock:
    """The Kafka version and all jars that it needs."""

    kafka: str
    jars: tuple[Jar, ...]


def load_jar_lock() -> JarLock:
    """Read the lock that stands beside this module."""
    content = json.loads(_LOCK.read_text())
    return JarLock(kafka=content["kafka"], jars=tuple(Jar(**jar) for jar in content["jars"]))


def cache_dir(lock: JarLock, environment: Mapping[str, str] = os.environ) -> Path:
    """The folder of this machine's user for this Kafka version, shared by all projects."""
    caches = environment.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(caches) / "wundr" / f"kafka-{lock.kafka}"


def missing_jars(lock: JarLock, cache: Path) -> tuple[Jar, ...]:
    """Locked jars that are absent from the cache or have another size."""
    return tuple(
        jar
        for jar in lock.jars
        if not (cache / jar.path).is_file() or (cache / jar.path).stat().st_size != jar.size
    )


def ensure_jars(lock: JarLock, cache: Path, progress: Callable[[int], None]) -> list[Path]:
    """Download what is missing and return the class path.

    `progress` is told the bytes of each finished jar. Raises DownloadFailed.
    """
    missing = missing_jars(lock, cache)
    with ThreadPoolExecutor(_DOWNLOADS_AT_ONCE) as pool:
        running = {pool.submit(_fetch, jar, cache): jar for jar in missing}
        for done in as_completed(running):
            if error := done.exception():
                pool.shutdown(cancel_futures=True)
                raise DownloadFailed(f"{running[done].path.name}: {error}") from error
            progress(running[done].size)
    return class_path(lock.jars, cache)


def class_path(jars: Iterable[Jar], cache: Path) -> list[Path]:
    """The jars' places in the cache."""
    return [cache / jar.path for jar in jars]


def _fetch(jar: Jar, cache: Path) -> None:
    """Download into a folder of its own and move into place once the bytes are proven."""
    # jgo and the HTTP client take longer to import than a warm start takes to find every jar.
    from jgo.maven import MavenContext

    incoming = cache / f"incoming-{os.getpid()}"
    context = MavenContext(repo_cache=incoming, local_repos=[], timeout=_TIMEOUT_S)
    component = context.project(jar.group, jar.artifact).at_version(jar.version)
    for attempt in range(1, _ATTEMPTS + 1):
        (incoming / jar.path).unlink(missing_ok=True)
        try:
            downloaded = component.artifact().resolve()
        except (OSError, RuntimeError):
            if attempt == _ATTEMPTS:
                raise
            continue
        if hashlib.sha256(downloaded.read_bytes()).hexdigest() == jar.sha256:
            (cache / jar.path).parent.mkdir(parents=True, exist_ok=True)
            downloaded.replace(cache / jar.path)
            return
    raise DownloadFailed(f"the bytes do not have the locked SHA-256 {jar.sha256}")
