"""`wundr store forget`: nobody can read a person's data any more, wherever they are."""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import timedelta
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from connectors.erasure import ErasureReport
from infra.erasing import forget_subject
from infra.store_plan import store_plan
from schemas.key_cache import KEY_CACHE_S


def forget(
    subject: Annotated[
        str, typer.Argument(metavar="SUBJECT", help="The id that events name the person by.")
    ],
    settle: Annotated[
        float, typer.Option(min=0, help="Seconds until other processes have lost the key.")
    ] = KEY_CACHE_S,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON line.")] = False,
) -> None:
    """Delete the key of a person for ever, and what was made of readable events meanwhile.

    Events stay where they are, with their personal fields unreadable. Then snapshots are removed
    and projections in PostgreSQL built anew. Doing it again does no harm. Exit code 1 when a place
    is left that only somebody else can clean.

    Example: wundr store forget user-4711 --json
    """
    plan = store_plan("wundr-forget")
    report = asyncio.run(forget_subject(plan, subject, timedelta(seconds=settle)))
    if as_json:
        sys.stdout.write(json.dumps(report.as_mapping()) + "\n")
    else:
        _show(report)
    if not report.is_complete:
        raise typer.Exit(1)


def _show(report: ErasureReport) -> None:
    console = Console()
    table = Table("place", "how", "clean at", "", box=None)
    for place in report.places:
        clean_at = "not yet" if place.clean_at is None else f"{place.clean_at:%Y-%m-%d %H:%M:%S}Z"
        table.add_row(place.name, place.means.value, clean_at, place.detail)
    console.print(table)
    for event_type in report.unprotected:
        console.print(
            f"{event_type}: its personal fields are not encrypted and not reached; a version with "
            "a subject protects events from then on",
            soft_wrap=True,
        )
