"""The jars of a peer in Java: kept for this machine's user, downloaded where they are missing."""

from __future__ import annotations

import os
from pathlib import Path

from infra.stack.jars import JarLock, ensure_jars, missing_jars
from infra.stack.progress import download_progress


def peer_cache(name: str) -> Path:
    """The folder of one peer in one version."""
    caches = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(caches) / "wundr" / name


def downloaded(what: str, lock: JarLock, cache: Path) -> list[Path]:
    """Where all jars of a lock stand now. Raises DownloadFailed."""
    size = sum(jar.size for jar in missing_jars(lock, cache))
    with download_progress(what, size) as progress:
        return ensure_jars(lock, cache, progress)
