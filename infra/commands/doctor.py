"""`wundr doctor`: what is wrong, and what to do about it."""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated, Final

import typer

from infra.diagnosis import examine
from infra.finding import Finding
from infra.output_width import output_width
from infra.settings import load_settings

LONGEST: Final = 240
"""Characters of a message for people."""

NARROWEST: Final = 20

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
        for line in finding_lines(finding, output_width(None)):
            sys.stdout.write(line + "\n")
    if wrong:
        raise typer.Exit(1)


def finding_lines(finding: Finding, width: int | None) -> Iterator[str]:
    """A finding for people, in lines of at most this width; None breaks no line."""
    sign = "ok " if finding.remedy is None else "!! "
    said = " ".join(finding.message.split())
    if len(said) > LONGEST:
        # Texts of errors are as long as whoever raised them likes.
        said = f"{said[:LONGEST].rstrip()}… (whole with --json)"
    yield from _wrapped(f"{sign} {finding.check:<12} ", said, width)
    if finding.remedy is not None:
        yield from _wrapped(f"    {'next:':<12} ", finding.remedy, width)


def _wrapped(head: str, text: str, width: int | None) -> list[str]:
    if width is None:
        return [head + text]
    room = max(NARROWEST, width - len(head))
    # Names, commands and places are to be copied: what holds no space stays whole.
    lines = textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False)
    return [f"{head if not number else ' ' * len(head)}{it}" for number, it in enumerate(lines)]
