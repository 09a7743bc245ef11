"""Runs `wundr demo` as a user does, on a small folder of real source files."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import subprocess
import sysconfig
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from infra.stack.state import read_state
from tests.integration.infra.wundr_command import command, environment, wait_until

PACKAGES = ("asyncio", "email", "http", "importlib", "json", "unittest")
BROKEN = "broken.py"
UNREADABLE = "unreadable.py"
END_S = 40.0
"""How long a demonstration may take to end all that it started."""

Summary = dict[str, Any]


def make_source_folder(root: Path) -> Path:
    """Some packages of the standard library, a file that no parser takes, and one of no reader."""
    library = Path(sysconfig.get_path("stdlib"))
    for package in PACKAGES:
        shutil.copytree(library / package, root / package, ignore=shutil.ignore_patterns("*.pyc"))
    (root / BROKEN).write_text("def broken(:\n")
    # Every read of its first byte fails, whoever reads it: rights do not hold the superuser back.
    (root / UNREADABLE).symlink_to("/proc/self/mem")
    return root


@dataclass(frozen=True, slots=True)
class RunningDemo:
    """A demonstration and the folder that it runs in."""

    process: subprocess.Popen[str]
    folder: Path
    terminal: Terminal
    earlier_runs: frozenset[Path]

    @property
    def run(self) -> Path:
        """The folder of its run."""
        (run,) = _runs(self.folder) - self.earlier_runs
        return run

    def acknowledged(self) -> int:
        """How many lines its journals have by now."""
        if _runs(self.folder) == self.earlier_runs:
            return 0
        journals = (self.run / "journals").glob("*.jsonl")
        return sum(path.read_bytes().count(b"\n") for path in journals)

    def wait_for_events(self, count: int) -> None:
        """Return once that many events are acknowledged."""
        wait_until(
            lambda: self.acknowledged() >= count or self.process.poll() is not None,
            f"{count} acknowledged events",
        )
        assert self.process.poll() is None, self.terminal.text()

    def child(self, *words: str) -> psutil.Process:
        """The process with all these words at an end of its command line's words."""
        for process in psutil.Process(self.process.pid).children():
            line = process.cmdline()
            if all(any(part.endswith(word) for part in line) for word in words):
                return process
        raise AssertionError(f"no process {words}: {self.terminal.text()}")

    def summary(self) -> Summary:
        """The line that it prints once its run is over."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.terminal.text()
        found: Summary = json.loads(line)
        return found

    def own_log(self) -> str:
        """What the demonstration itself has logged."""
        return (self.run / "logs" / "demo.log").read_text()


class Terminal:
    """A pseudo terminal as stderr of a process; keeps what it shows."""

    def __init__(self) -> None:
        self._screen, self.descriptor = pty.openpty()
        self._shown = bytearray()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def text(self) -> str:
        """All that was shown so far."""
        return self._shown.decode(errors="replace")

    def close(self) -> None:
        """To be called when the process has ended."""
        os.close(self.descriptor)
        self._reader.join(timeout=END_S)
        os.close(self._screen)

    def _read(self) -> None:
        # Reading fails once nobody holds the other end.
        with suppress(OSError):
            while shown := os.read(self._screen, 65536):
                self._shown += shown


@contextmanager
def demo(folder: Path, source: Path, *words: str, **variables: str) -> Iterator[RunningDemo]:
    """`wundr demo --json` in a folder; a block that fails ends it with everything it started."""
    terminal = Terminal()
    earlier_runs = _runs(folder)
    process = subprocess.Popen(
        command("demo", "--json", "--path", str(source), *words),
        cwd=folder,
        env=environment(TERM="xterm", COLUMNS="80", **variables),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=terminal.descriptor,
        text=True,
        start_new_session=True,
    )
    try:
        yield RunningDemo(process, folder, terminal, earlier_runs)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(END_S)
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
        terminal.close()


def run_once(folder: Path, source: Path, **variables: str) -> Summary:
    """A whole run to its end; it must end with code 0."""
    with demo(folder, source, "--once", **variables) as running:
        summary = running.summary()
        assert running.process.wait(END_S) == 0, running.terminal.text()
    return summary


def assert_whole(summary: Summary) -> None:
    """Everything acknowledged is everywhere, once."""
    assert summary["acknowledged"] == summary["published"] > summary["files"]
    assert summary["stored"] == summary["acknowledged"], summary
    assert summary["projected"] == summary["acknowledged"], summary
    assert summary["delivered"] == summary["expected_delivered"] > summary["files"], summary
    assert summary["lost"] == summary["duplicates"] == summary["dead_letters"] == 0, summary


def living_in(folder: Path) -> list[str]:
    """The command lines of all processes whose working folder is this one or below it."""
    found = []
    for process in psutil.process_iter(["cwd", "cmdline", "status"]):
        where = process.info["cwd"]
        if where and Path(where).is_relative_to(folder):
            found.append(" ".join(process.info["cmdline"] or []))
    return found


def database_of(folder: Path) -> str:
    """The DSN of the database of the stack that runs in a folder."""
    endpoints = read_state(folder / ".wundr").endpoints
    assert endpoints is not None
    return endpoints.postgres_dsn


def _runs(folder: Path) -> frozenset[Path]:
    return frozenset((folder / ".wundr" / "runs").glob("*"))
