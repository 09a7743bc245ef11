"""`wundr store`: look at what the event store holds."""

from __future__ import annotations

import typer

from infra.commands.store_show import show

app = typer.Typer(add_completion=False, no_args_is_help=True)


@app.callback()
def store() -> None:
    """The event store in PostgreSQL."""


app.command()(show)
