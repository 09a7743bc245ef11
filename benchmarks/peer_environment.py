"""The virtual environment of the peers: made once per lock, proven by hash."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from benchmarks.errors import PeersNotInstalled

LOCK: Final = Path(__file__).parent / "requirements-peers.lock"
_STAMP: Final = "installed"


def peers_python(folder: Path, say: Callable[[str], None]) -> Path:
    """The peers' interpreter; what is missing is installed first. Raises PeersNotInstalled."""
    place = folder / "peers"
    fingerprint = hashlib.sha256(LOCK.read_bytes() + sys.version.encode()).hexdigest()
    stamp = place / _STAMP
    if not stamp.is_file() or stamp.read_text() != fingerprint:
        say("installing the peers from their lock (once)")
        _install(place)
        stamp.write_text(fingerprint)
    return place / "bin" / "python"


def _install(place: Path) -> None:
    if place.exists():
        shutil.rmtree(place)
    said = []
    for steps in installers(Path(sys.executable), place):
        for command in steps:
            done = subprocess.run(command, check=False, capture_output=True, text=True)
            said.append(done.stdout + done.stderr)
            if done.returncode != 0:
                break
        else:
            return
    raise PeersNotInstalled(f"the peers could not be installed:\n{said[-1][-2_000:]}")


def installers(python: Path, place: Path) -> Iterator[Sequence[Sequence[str]]]:
    """The commands of each way to install, the fastest first."""
    locked = ("--require-hashes", "--quiet", "-r", str(LOCK))
    own = str(place / "bin" / "python")
    make = (str(python), "-m", "venv", "--clear", str(place))
    uv = python.parent / "uv"
    if uv.exists():
        yield (make, (str(uv), "pip", "install", "--python", own, "--compile-bytecode", *locked))
    yield (make, (own, "-m", "pip", "--disable-pip-version-check", "install", *locked))
