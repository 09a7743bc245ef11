"""`wundr doctor`: what is wrong, and what to do about it."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Annotated

import typer

from infra.diagnosis import examine
from infra.settings import load_settings

app = typer.Typer(add_completion=False)


@app.command()
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON line per check.")] = False,
) -> None:
    """Check the machine, the servers and all that runs. Exit code 1 if something is wrong.

    Packages, ports, disk; broker, topics, PostgreSQL; processes, consumer groups, outbox and sink,
    dead letters and retries, schemas, projections, and whether the event store agrees with Kafka.

    Example: wundr doctor --json
    """
    wrong = 0
    for finding in examine(load_settings()):
        wrong += finding.remedy is not None
        if as_json:
            sys.stdout.write(json.dumps(asdict(finding)) + "\n")
            continue
        sign = "ok " if finding.remedy is None else "!! "
        sys.stdout.write(f"{sign} {finding.check:<12} {finding.message}\n")
        if finding.remedy is not None:
            sys.stdout.write(f"    next:        {finding.remedy}\n")
    if wrong:
        raise typer.Exit(1)
