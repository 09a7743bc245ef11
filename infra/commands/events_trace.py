"""`wundr events trace`: the course of an event through everything, by its causes and effects."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from infra.event_course import CoursePlan, course_of
from infra.event_drawing import draw
from infra.event_plan import course_plan
from infra.event_tree import event_tree, timeline_mapping
from infra.written_files import refuse_unwritable, refused_writing
from streams.timeline import Timeline

PIPE_WIDTH: Final = 500
"""Characters of a line for who is no terminal: a line that is cut hides what is looked for."""


def trace(
    event_id: Annotated[str, typer.Argument(metavar="ID")],
    apps: Annotated[
        list[str] | None,
        typer.Argument(metavar="[APP]…", help="Import paths; left out, the apps that run."),
    ] = None,
    *,
    svg: Annotated[Path | None, typer.Option(help="Draw the course into this file, too.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Draw what led to an event, what became of it, and what it brought about.

    From the event store, the topics, dead letters and committed offsets: complete, not sampled.

    Example: wundr events trace 0198c5ae-7f3a-7cc2-9c4e-1d2a3b4c5d6e --svg course.svg
    """
    if svg is not None:
        refuse_unwritable(svg, "--svg")
    plan = course_plan(apps or ())
    course = asyncio.run(course_of(plan, event_id))
    if svg is not None:
        with refused_writing("--svg"):
            svg.write_text(draw(course))
    if as_json:
        sys.stdout.write(json.dumps(timeline_mapping(course)) + "\n")
    else:
        _show(course, plan)
    if svg is not None:
        sys.stderr.write(f"drawn into {svg}\n")


def _show(course: Timeline, plan: CoursePlan) -> None:
    Console(width=None if sys.stdout.isatty() else PIPE_WIDTH).print(event_tree(course))
    for place in course.unsearched:
        sys.stderr.write(f"not looked through: {place}\n")
    names = ", ".join(app.name for app in plan.apps)
    sys.stderr.write(f"handlers and projections are those of: {names}\n")
