"""What a person sees of a run in the terminal: steps, growing counts, and the result as a table.

All of it goes to stderr; where that is no terminal nothing moves and nothing is coloured.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from rich.console import Console
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

from examples.analysis.demo.plan import RELEASES, DemoFolders
from examples.analysis.demo.repair import ChaosCounts, ParkedEvent
from examples.analysis.demo.run import Counts
from examples.analysis.demo.summary import Summary
from infra.stack.endpoints import Endpoints
from infra.stack.provider import Choice

PLACES: Final = ("acknowledged", "stored", "projected", "delivered")
LABEL_WIDTH: Final = 12
SECONDS_WIDTH: Final = 7
BAR_WIDTH: Final = 38


@dataclass(slots=True)
class Bars:
    """Files on the page, and the events in each place against those that belong there."""

    progress: Progress
    files: TaskID
    places: dict[str, TaskID]

    @classmethod
    def on(cls, progress: Progress, files: int) -> Self:
        """Bars for a run over this many files."""
        return cls(
            progress,
            progress.add_task("files", total=files),
            {place: progress.add_task(place, total=None) for place in PLACES},
        )

    def follow(self, counts: Counts) -> None:
        """Move the bars."""
        self.progress.update(self.files, completed=counts.files)
        for place, task in self.places.items():
            expected = counts.expected_delivered if place == "delivered" else counts.acknowledged
            self.progress.update(task, completed=getattr(counts, place), total=max(1, expected))


class Display:
    """One line per step, bars while the events flow, then the result.

    `began` is when the command began, on the monotonic clock in seconds.
    """

    def __init__(self, console: Console, began: float) -> None:
        self._console = console
        self._began = began

    def stack_starts(self, choice: Choice) -> None:
        """Which provider was taken, and why."""
        self._step("stack", f"{choice.provider.value}: {choice.reason}")

    def stack_runs(self, endpoints: Endpoints) -> None:
        """Both servers accept connections."""
        self._step("Kafka", endpoints.kafka_bootstrap)
        self._step("PostgreSQL", "accepts connections")

    def topics_ready(self, topics: int) -> None:
        """Every topic is there."""
        self._step("topics", f"{topics} in place")

    def processes_start(self, folders: DemoFolders) -> None:
        """The processes are starting, their output goes to files."""
        self._step("processes", "platform worker, sink, relay, gateway, 2 workers of the team app")
        self._step("logs", _short(folders.run / "logs"))

    def processes_ready(self, url: str) -> None:
        """Workers have their partitions and a client is connected: here is the page."""
        self._step("live page", Text(url, style=f"bold link {url}"))
        self._step("producers", f"2, of the releases {' and '.join(RELEASES)}")

    @contextmanager
    def bars(self, files: int) -> Iterator[Bars]:
        """Bars while a run lasts."""
        columns = (
            TextColumn(f"{{task.description:>{LABEL_WIDTH}}}", style="bold"),
            BarColumn(BAR_WIDTH),
            MofNCompleteColumn(),
        )
        shown = self._console.is_terminal
        with Progress(*columns, console=self._console, transient=True, disable=not shown) as moving:
            yield Bars.on(moving, files)

    def parked(self, events: Sequence[ParkedEvent]) -> None:
        """See repair.Watch: the events by name, and how many wait behind each."""
        self._step("parked", f"{len(events)} poisoned events wait for an order, others flow")
        for event in events:
            waits = f", {event.behind} behind it" if event.behind else ""
            self._step("", f"{event.error}{waits}")

    def mended(self) -> None:
        """See repair.Watch."""
        self._step("mended", "what failed on them works again; redriving")

    def redriven(self, count: int) -> None:
        """See repair.Watch."""
        self._step("redriven", f"{count}, and what waited behind them, in order")

    def result(self, summary: Summary) -> None:
        """The counts in one table, with what they mean."""
        table = Table(box=None, show_header=False, pad_edge=False)
        table.add_column(style="bold", justify="right")
        table.add_column(justify="right")
        table.add_column(style="dim")
        for name, count, meaning in (*_rows(summary), *_chaos_rows(summary.chaos)):
            table.add_row(name, f"{count:,}", meaning)
        verdict = "everything arrived, once" if summary.is_whole else "not whole"
        colour = "green" if summary.is_whole else "red"
        self._console.print(
            Panel(
                table,
                title=f"[{colour}]{verdict}[/{colour}]",
                subtitle=_times(summary),
                expand=False,
                padding=(1, 2),
            )
        )

    def goes_on(self, url: str) -> None:
        """Everything is left running."""
        self._step("live page", Text(url, style=f"bold link {url}"))
        self._step("running", "until Ctrl-C")

    def ends(self) -> None:
        """The processes are being ended."""
        self._step("ending", "processes drain, then the servers of this command stop")

    def _step(self, label: str, what: str | Text) -> None:
        line = Table.grid(padding=(0, 2))
        line.add_column(justify="right", width=LABEL_WIDTH, style="bold cyan")
        line.add_column(justify="right", width=SECONDS_WIDTH, style="dim")
        line.add_column(overflow="fold")
        line.add_row(label, f"{time.monotonic() - self._began:.1f} s", what)
        self._console.print(line)


def _rows(summary: Summary) -> tuple[tuple[str, int, str], ...]:
    return (
        ("files", summary.files, "read and analysed"),
        ("acknowledged", summary.acknowledged, "events in Kafka, or committed by an append"),
        ("stored", summary.stored, "rows in PostgreSQL"),
        ("projected", summary.projected, "events counted in the workers' tables"),
        ("delivered", summary.delivered, f"shown to a client, of {summary.expected_delivered:,}"),
        ("redelivered", summary.redelivered, "sent to the client again, and dropped there"),
        ("lost", summary.lost, "acknowledged and missing somewhere"),
        ("duplicates", summary.duplicates, "counted, stored or shown twice"),
        ("dead letters", summary.dead_letters, "events that are not done at the end"),
    )


def _chaos_rows(chaos: ChaosCounts | None) -> tuple[tuple[str, int, str], ...]:
    if chaos is None:
        return ()
    return (
        ("poisoned", chaos.poisoned, "events that failed, on purpose"),
        ("parked", chaos.parked, "of these, with what came after them in order"),
        ("redriven", chaos.redriven, "of these, once what failed was mended"),
    )


def _times(summary: Summary) -> str:
    first = summary.seconds_to_first_event
    if first is None:
        return f"no event within {summary.seconds:.1f} s"
    return f"first event after {first:.1f} s, all after {summary.seconds:.1f} s"


def _short(path: Path) -> str:
    """Relative to the working folder where that is shorter to read."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
