"""`wundr token`: mints a token for the gateway with the installation's own key."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import Annotated

import typer

from gateway.settings import GatewaySettings
from gateway.tokens import mint
from infra.development_key import development_key
from infra.settings import load_settings

app = typer.Typer(add_completion=False)


@app.command()
def token(
    rooms: Annotated[
        list[str], typer.Argument(metavar="ROOM...", help="system, project.*, user.alice, ...")
    ],
    subject: Annotated[str, typer.Option(help="Whom the token speaks for.")] = "developer",
    hours: Annotated[float, typer.Option(min=0.01, max=720.0, help="How long it is valid.")] = 1.0,
) -> None:
    """Print a token that opens these rooms.

    Example: wundr token system 'project.*' --subject alice
    """
    settings = GatewaySettings(jwt_secret=development_key(load_settings()))
    sys.stdout.write(mint(settings, subject, rooms, timedelta(hours=hours)) + "\n")
