"""Folders for the servers of a test session, named by the process that it runs in."""

from __future__ import annotations

import os
import shutil
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import Final

import psutil

from infra.stack.local import stop_stack
from infra.stack.state import stack_lock

STATE: Final = ".wundr"
"""Where a stack that was started in such a folder keeps what it knows."""

_CHECKOUT: Final = sha256(str(Path(__file__).resolve().parent).encode()).hexdigest()[:8]
_PREFIX: Final = f"wundr-test-{_CHECKOUT}-"


def make_folder(parent: Path) -> Path:
    """A new, empty folder of this session."""
    return Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=parent))


def remove_folder(folder: Path) -> None:
    """Stop the stack that runs in a folder, then remove it."""
    stop_stack(folder / STATE)
    shutil.rmtree(folder)


def remove_leftovers(parent: Path) -> None:
    """Remove the folders of sessions that were killed. One session at a time looks for them."""
    with stack_lock(parent / f"wundr-test-lock-{_CHECKOUT}"):
        for folder in parent.glob(f"{_PREFIX}*"):
            session = int(folder.name.removeprefix(_PREFIX).split("-", 1)[0])
            if not psutil.pid_exists(session):
                remove_folder(folder)
