"""Progress of long work on stderr: a bar with rate and time left on a terminal, else lines."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

Report = Callable[[str, int, int], None]
"""Told what is done now, how much of it, and how much there is in all."""

LINE_S: Final = 10.0
"""Where there is no terminal, a line is written so often."""


@contextmanager
def work_progress(unit: str) -> Iterator[Report]:
    """Show what the block reports, in this unit."""
    if not sys.stderr.isatty():
        yield _Lines(unit).report
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        shown = progress.add_task("", total=None, rate="")
        current = [""]

        def report(what: str, done: int, total: int) -> None:
            if what != current[0]:
                current[0] = what
                progress.reset(shown, description=what, total=total or None)
            speed = progress.tasks[0].speed
            rate = "" if speed is None else f"{speed:,.0f} {unit}/s"
            progress.update(shown, completed=done, total=total or None, rate=rate)

        yield report


class _Lines:
    """Writes a line now and then."""

    def __init__(self, unit: str) -> None:
        self._unit = unit
        self._what = ""
        self._began = 0.0
        self._written = 0.0

    def report(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        if what != self._what:
            self._what, self._began, self._written = what, now, now
            sys.stderr.write(f"{what} ...\n")
        elif now - self._written >= LINE_S:
            self._written = now
            rate = done / max(now - self._began, 0.001)
            left = "" if not done else f", {max(0, total - done) / max(rate, 0.001):.0f} s left"
            sys.stderr.write(f"{what}: {done:,} of {total:,}, {rate:,.0f} {self._unit}/s{left}\n")
