"""`wundr down`: stop what runs for this folder."""

from __future__ import annotations

import sys

import typer

from infra.settings import load_settings
from infra.stack.local import stop_stack

app = typer.Typer(add_completion=False)


@app.command()
def down() -> None:
    """Stop Kafka and PostgreSQL of this folder. Data and ports are kept for the next start."""
    settings = load_settings()
    stop_stack(settings.state_dir)
    sys.stdout.write("Stopped.\n")
