"""`wundr store`: prove what the event store holds, and rebuild it."""

from __future__ import annotations

import typer

from infra.commands.store_audit import audit
from infra.commands.store_restore import restore

app = typer.Typer(add_completion=False, no_args_is_help=True)


@app.callback()
def store() -> None:
    """The event store in PostgreSQL."""


app.command()(audit)
app.command()(restore)
