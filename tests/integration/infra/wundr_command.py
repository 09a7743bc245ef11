"""Runs `wundr` as a user does: a process of its own in a working folder."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[3]
DEADLINE_S = 90.0


def environment(**variables: str) -> dict[str, str]:
    """This process' environment without its `WUNDR_*` settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WUNDR_")}
    return kept | {"PYTHONPATH": str(ROOT), "WUNDR_PROVIDER": "embedded"} | variables


def wundr(folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    return run_within(DEADLINE_S, folder, words, environment(**variables))


def run_within(
    deadline_s: float, folder: Path, words: Sequence[str], variables: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run one command in this environment to its end, which may take so long."""
    return subprocess.run(
        command(*words),
        cwd=folder,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=deadline_s,
    )


def command(*words: str) -> list[str]:
    """The command line of `wundr` in this Python."""
    return [sys.executable, "-m", "infra", *words]


def servers(folder: Path) -> list[psutil.Process]:
    """Every process that runs on this folder's data, the start command itself left out."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        line = process.info["cmdline"] or []
        on_folder = any(str(folder / ".wundr") in word for word in line)
        if on_folder and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Return as soon as the condition holds; fail with `what` at the deadline."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.01)
