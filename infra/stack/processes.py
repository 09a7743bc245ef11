"""Recognises the servers of a stack among all processes, and ends them.

A pid alone proves nothing: the number may have gone to another program. A process is ours when its
start time is the recorded one and its command line holds our mark (a path inside the state folder).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import psutil

_START_TOLERANCE_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedProcess:
    """A process as it was written down when it started."""

    pid: int
    started: float
    """Start time in seconds since the epoch."""
    mark: str
    """A text that stands in its command line and in no other program's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedProcess:
    """A process as the system shows it now."""

    started: float
    command_line: tuple[str, ...]


class Verdict(StrEnum):
    """What has become of a recorded process."""

    GONE = "gone"
    OURS = "ours"
    STRANGER = "stranger"


def judge(recorded: RecordedProcess, observed: ObservedProcess | None) -> Verdict:
    """Decide whether the process behind a recorded pid is still the recorded one."""
    if observed is None:
        return Verdict.GONE
    same_start = abs(observed.started - recorded.started) <= _START_TOLERANCE_S
    if same_start and any(recorded.mark in word for word in observed.command_line):
        return Verdict.OURS
    return Verdict.STRANGER


def observe(pid: int) -> ObservedProcess | None:
    """Look at a running process; None when there is none (a zombie has already ended)."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return ObservedProcess(started=process.create_time(), command_line=tuple(process.cmdline()))
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return None


def record(pid: int, mark: str) -> RecordedProcess | None:
    """Write down a running process, or None when it has ended already."""
    observed = observe(pid)
    if observed is None:
        return None
    return RecordedProcess(pid=pid, started=observed.started, mark=mark)


def verdict_on(recorded: RecordedProcess) -> Verdict:
    """Judge a recorded process by what runs now."""
    return judge(recorded, observe(recorded.pid))


def find_marked(mark: str, words: Sequence[str] = ()) -> Iterator[RecordedProcess]:
    """Running processes whose command line holds the mark and each of the words.

    Finds what a killed parent had started but not yet written down.
    """
    for process in psutil.process_iter(["pid", "cmdline", "create_time", "status"]):
        line = process.info["cmdline"] or []
        marked = any(mark in word for word in line) and all(word in line for word in words)
        if marked and process.info["status"] != psutil.STATUS_ZOMBIE:
            yield RecordedProcess(
                pid=process.info["pid"], started=process.info["create_time"], mark=mark
            )


def end(recorded: RecordedProcess, grace_s: float = 20.0) -> bool:
    """End a process if it is still ours: asked, then killed after `grace_s`. True if ours."""
    if verdict_on(recorded) is not Verdict.OURS:
        return False
    try:
        process = psutil.Process(recorded.pid)
        process.terminate()
        try:
            process.wait(grace_s)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(grace_s)
    except psutil.NoSuchProcess:
        return True
    return True
