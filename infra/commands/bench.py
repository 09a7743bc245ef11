"""`wundr bench`: figures of this platform against its peers, in one run on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from infra.settings import load_settings
from infra.written_files import made_folder

app = typer.Typer(add_completion=False)


def _print_table(asked: bool) -> None:
    """Print what the results in the tree show, and end."""
    from benchmarks.command import print_table

    if asked:
        print_table()
        raise typer.Exit


def _made(option: typer.CallbackParam, folder: Path | None) -> Path | None:
    """A folder for results, made before anything is measured."""
    if folder is not None:
        made_folder(folder, f"--{option.name}")
    return folder


TABLE: Final = typer.Option(
    "--table",
    help="Run nothing: print the results in the tree.",
    is_eager=True,
    callback=_print_table,
)

Plot = Annotated[
    Path | None,
    typer.Option(help="Draw each result in this folder.", callback=_made),
]
Results = Annotated[
    Path | None,
    typer.Option(help="Write results here instead of benchmarks/results.", callback=_made),
]


@app.command()
def bench(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Which; all when not given.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="How often each system runs.")] = 3,
    seconds: Annotated[
        float, typer.Option(min=0.1, help="How long a run measures, after its warm-up.")
    ] = 5.0,
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="SYSTEM", help="Run this system alone; may be given again."),
    ] = None,
    plot: Plot = None,
    results: Results = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON line a bench.")] = False,
    _table: Annotated[bool, TABLE] = False,
) -> None:
    """Measure beside the peers; each bench ends within eight minutes. Exit code 0 when it ran.

    Whether its goals are met is in the result, which is written to benchmarks/results/NAME.json
    unless the run was a part or too short.

    Example: wundr bench codec --json; wundr bench --table
    """
    # The benches stand on infra, so they are met here at run time only.
    from benchmarks.command import Request, run_benches

    request = Request(
        names=_known(names or ()),
        rounds=rounds,
        seconds=seconds,
        only=tuple(only or ()),
        plot=plot,
        results=results,
        as_json=as_json,
    )
    run_benches(load_settings(), request)


def _known(names: Sequence[str]) -> tuple[str, ...]:
    """These benches, or all."""
    from benchmarks.catalogue import NAMES

    unknown = [name for name in names if name not in NAMES]
    if unknown:
        raise typer.BadParameter(f"no bench {', '.join(unknown)}; there are {', '.join(NAMES)}")
    return tuple(names or NAMES)
