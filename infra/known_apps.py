"""Which apps a command speaks of: those named, else those that run, else the reference app."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

from infra.application import recorded_application
from infra.stack.processes import Verdict, observe, verdict_on
from streams.app import App
from streams.runtime.loading import load_app

REFERENCE: Final = "examples.analysis.app"
PLATFORM: Final = "platform"
WORKER: Final = "worker"


def known_apps(paths: Sequence[str], state_dir: Path) -> list[App]:
    """The apps behind import paths, each once. Raises AppNotFound."""
    wanted = paths or running_apps(state_dir) or [REFERENCE]
    return list({app.name: app for app in map(load_app, wanted)}.values())


def running_apps(state_dir: Path) -> list[str]:
    """The import paths of the apps whose workers run in a folder."""
    running = [
        observe(process.pid)
        for process in recorded_application(state_dir).values()
        if verdict_on(process) is Verdict.OURS
    ]
    return worked_on(process.command_line for process in running if process is not None)


def worked_on(command_lines: Iterable[Sequence[str]]) -> list[str]:
    """What `wundr worker` was told to work on, of command lines; the platform is no team's app."""
    targets = {
        following
        for line in command_lines
        for word, following in pairwise(line)
        if word == WORKER and following != PLATFORM and not following.startswith("-")
    }
    return sorted(targets)
