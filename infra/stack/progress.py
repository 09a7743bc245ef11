"""Shows the first download on stderr: a bar on a terminal, one line elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_MEBIBYTE = 1024 * 1024


@contextmanager
def download_progress(what: str, total_bytes: int) -> Iterator[Callable[[int], None]]:
    """Give a function to report downloaded bytes to; shows nothing when nothing is missing."""
    if total_bytes == 0:
        yield lambda _received: None
        return
    # Rich costs a tenth of a second at import and is needed once per machine.
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    console = Console(stderr=True)
    if not sys.stderr.isatty():
        console.print(f"Downloading {what} ({total_bytes / _MEBIBYTE:.0f} MiB, once) ...")
    columns = (TextColumn("Downloading {task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(what, total=total_bytes)
        yield lambda received: progress.update(task, advance=received)
