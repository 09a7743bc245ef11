"""What a person sees of a run in the terminal: steps, growing counts, and the result as a table."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

from rich.console import Console
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Table

from examples.analysis.demo.run import Counts
from examples.analysis.demo.summary import Summary

PLACES = ("acknowledged", "stored", "projected", "delivered")


@dataclass(slots=True)
class RunDisplay:
    """Progress bars on stderr.

    Files on the page, and the events in each place against the acknowledged ones.
    """

    progress: Progress
    files: TaskID
    places: dict[str, TaskID]

    @classmethod
    def on(cls, progress: Progress, files: int) -> Self:
        """Bars for a run over this many files."""
        return cls(
            progress,
            progress.add_task("files on the page", total=files),
            {place: progress.add_task(place, total=None) for place in PLACES},
        )

    def follow(self, counts: Counts) -> None:
        """Move the bars."""
        self.progress.update(self.files, completed=counts.files)
        for place, task in self.places.items():
            self.progress.update(
                task, completed=getattr(counts, place), total=max(1, counts.acknowledged)
            )


@contextmanager
def run_display(console: Console, files: int) -> Iterator[RunDisplay]:
    """Bars while a run lasts; nothing moves where stderr is no terminal."""
    columns = (TextColumn("{task.description:>18}"), BarColumn(40), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        yield RunDisplay.on(progress, files)


def show_address(console: Console, url: str) -> None:
    """Where to look while the run goes on."""
    console.print(f"[bold]Live page[/bold]  [link={url}]{url}[/link]")


def show_result(console: Console, summary: Summary) -> None:
    """The counts in one table, with what they mean."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", justify="right")
    table.add_column(justify="right")
    table.add_column(style="dim")
    rows = (
        ("files", summary.files, "read and analysed"),
        (
            "acknowledged",
            summary.acknowledged,
            "events that Kafka confirmed, from every producer's journal",
        ),
        ("stored", summary.stored, "rows in PostgreSQL"),
        ("projected", summary.projected, "events counted in the workers' tables"),
        (
            "delivered",
            summary.delivered,
            f"events shown to the browser client, of {summary.expected_delivered}",
        ),
        ("lost", summary.lost, "acknowledged and missing somewhere"),
        ("duplicates", summary.duplicates, "counted, stored or shown twice"),
        ("dead letters", summary.dead_letters, "events that no try could handle"),
    )
    for name, count, meaning in rows:
        table.add_row(name, f"{count:,}", meaning)
    verdict = (
        "[green]everything arrived, once[/green]" if summary.is_whole else "[red]not whole[/red]"
    )
    first = summary.seconds_to_first_event
    console.print(
        Panel(
            table,
            title=verdict,
            subtitle=f"first event after {first:.1f} s, all after {summary.seconds:.1f} s"
            if first is not None
            else f"no event within {summary.seconds:.1f} s",
            expand=False,
            padding=(1, 2),
        )
    )
