"""A bar on stderr for work whose size is known: how far it is, how fast, and how long it takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

Advance = Callable[[str, int, int, int], None]
"""What is done at the moment, the offsets that are passed, of how many, and the events so far."""

PLAIN_EVERY_S: Final = 5.0
"""How often a line is written where stderr is no terminal."""


@contextmanager
def progress_bar() -> Iterator[Advance]:
    """The bar for as long as the block runs."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines(console)
        return
    columns = (
        TextColumn("{task.description:<10}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[events]:,} events  {task.fields[rate]:,.0f}/s"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("starting", total=None, events=0, rate=0.0)
        began = time.monotonic()

        def advance(doing: str, offsets: int, of: int, events: int) -> None:
            rate = events / max(1e-9, time.monotonic() - began)
            progress.update(
                task,
                description=doing,
                completed=offsets,
                total=of or None,
                events=events,
                rate=rate,
            )

        yield advance


def _lines(console: Console) -> Advance:
    began = said = time.monotonic()

    def advance(doing: str, offsets: int, of: int, events: int) -> None:
        nonlocal said
        now = time.monotonic()
        if now - said < PLAIN_EVERY_S:
            return
        said = now
        left_s = (now - began) * (of - offsets) / max(1, offsets)
        rate = events / (now - began)
        console.print(
            f"{doing}: {offsets:,} of {of:,} offsets, {events:,} events, {rate:,.0f}/s, "
            f"{left_s:,.0f} s left"
        )

    return advance
