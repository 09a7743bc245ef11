"""`wundr demo`: start everything and watch real events flow."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from infra.settings import load_settings

app = typer.Typer(add_completion=False)


@app.command()
def demo(
    path: Annotated[
        Path | None,
        typer.Option(help="Folder of Python files; the standard library when not given."),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="End after the analysis.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one summary line.")] = False,
    chaos: Annotated[
        bool, typer.Option("--chaos", help="Poison some events; park, mend and redrive them.")
    ] = False,
) -> None:
    """Start the stack and the reference application on real source files, and open a live page.

    Example: wundr demo --once --json
    """
    began = time.monotonic()
    # The reference application stands on infra, so it is met here at run time only.
    from examples.analysis.demo.command import Wish, demonstrate
    from examples.analysis.plan import standard_library

    wish = Wish(once=once, json=as_json, chaos=chaos)
    whole = demonstrate(load_settings(), path or standard_library(), wish, began)
    if not whole:
        raise typer.Exit(1)
