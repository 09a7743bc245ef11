"""What people see: progress on stderr, a table of each result on stdout."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.status import Status
from rich.table import Column, Table


class Screen:
    """One moving line on a terminal, a line for each step elsewhere; on stderr."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._status = Status("", console=self._console)
        self._bench = ""
        self._began = time.monotonic()

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._status.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._status.stop()

    def begin(self, bench: str) -> None:
        """A bench begins."""
        self._bench = bench
        self._began = time.monotonic()

    @property
    def elapsed(self) -> float:
        """Seconds since the bench began."""
        return time.monotonic() - self._began

    def say(self, text: str) -> None:
        """What is being done now."""
        elapsed = self.elapsed
        if self._console.is_terminal:
            self._status.update(f"{self._bench}: {text} [dim]{elapsed:.0f} s")
        else:
            sys.stderr.write(f"wundr bench: {self._bench} {elapsed:4.0f} s  {text}\n")
            sys.stderr.flush()

    def end(self) -> None:
        """The bench is over."""
        self.say("done")


def show(result: Mapping[str, Any]) -> None:
    """Print a result as two tables."""
    console = Console()
    console.print(f"\n[bold]{result['bench']}[/bold]  {result['question']}")
    figures = Table("system", *_right(result["unit"], "min", "max", "per CPU-s", "memory"))
    for name, entry in systems(result):
        figures.add_row(name, *figure_cells(entry))
    console.print(figures)
    goals = Table("goal", *_right("measured"), "")
    for row, goal in result["goals"].items():
        goals.add_row(row, *goal_cells(result["ratios"][row], goal, result["bounds"][row]))
    console.print(goals)
    if result["noise"] is not None:
        console.print(f"Noise of an A/A run: {result['noise']['band']:.1%}", highlight=False)


def systems(result: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Name and entry of every system, ours first."""
    yield "wundr", result["ours"]
    yield from result["peers"].items()


def figure_cells(entry: Mapping[str, Any]) -> list[str]:
    """Median, minimum, maximum, rate per CPU-second, memory."""
    if "missing" in entry:
        return [entry["missing"], "", "", "", ""]
    numbers = [number(entry[name]) for name in ("median", "min", "max")]
    rate = entry.get("events_per_cpu_s")
    memory = entry["rss_bytes"]["median"] / 1024**2
    return [*numbers, "" if rate is None else number(rate["median"]), f"{memory:.0f} MiB"]


def goal_cells(ratio: float | None, goal: float, bound: str) -> list[str]:
    """The ratio and whether it is met."""
    if ratio is None:
        return ["not measured", "no"]
    met = ratio >= goal if bound == "at_least" else ratio <= goal
    return [f"{ratio:.2f}", "yes" if met else "no"]


def number(value: float) -> str:
    """With separators, and as many digits as it is worth."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _right(*headings: str) -> list[Column]:
    return [Column(heading, justify="right") for heading in headings]
