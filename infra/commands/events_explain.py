"""`wundr events explain`: where events of a type go, or one event went, and why."""

from __future__ import annotations

import asyncio
import difflib
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Table

from infra.event_course import CoursePlan, place_of
from infra.event_plan import course_plan
from infra.known_apps import known_apps
from infra.output_width import output_width
from infra.settings import load_settings
from infra.stack.local import absolute
from schemas.broadcast import rooms
from schemas.catalog import Catalog
from schemas.errors import UnknownEventType
from schemas.event import Event
from schemas.framing import schema_id_of
from streams.explanation import Fact
from streams.explanation import explain as explained
from streams.partitioner import partition_of
from streams.records import Origin

UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
NEAR: Final = 3
PIPE_WIDTH: Final = 180
"""Characters of a line for who is no terminal and names no width."""


def explain(
    subject: Annotated[str, typer.Argument(metavar="TYPE|ID")],
    apps: Annotated[
        list[str] | None,
        typer.Argument(metavar="[APP]…", help="Import paths; left out, the apps that run."),
    ] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON line per fact.")] = False,
) -> None:
    """Say where an event goes and why: topic, key, schema, handlers, projections, rooms, sinks.

    A type needs no running stack; for an id the real partition and offset are looked up.

    Example: wundr events explain analysis.completed
    """
    show_facts(_facts(subject, apps or ()), as_json=as_json)


def _facts(subject: str, paths: Sequence[str]) -> list[Fact]:
    catalog = Catalog.load()
    if any(known.name == subject for known in catalog.types()):
        settings = load_settings()
        return explained(catalog, subject, known_apps(paths, absolute(settings.state_dir)))
    if not UUID.fullmatch(subject):
        raise UnknownEventType(subject, nearest(subject, [it.name for it in catalog.types()]))
    plan = course_plan(paths)
    event, origin = asyncio.run(place_of(plan, subject))
    return [*event_facts(plan, event, origin), *explained(catalog, event.type, plan.apps)]


def nearest(name: str, known: Sequence[str]) -> list[str]:
    """The names that may have been meant, the nearest first."""
    found = difflib.get_close_matches(name, known, n=NEAR, cutoff=0.5)
    return found or [it for it in known if it.rpartition(".")[2] == name.rpartition(".")[2]][:NEAR]


def event_facts(plan: CoursePlan, event: Event[Any], origin: Origin | None) -> list[Fact]:
    """What is true of this one event, before what is true of its type."""
    at = "not known: it has not come back from Kafka" if origin is None else str(origin.source)
    computed = partition_of(event.key.encode(), plan.kafka.partitions)
    facts = [
        Fact(topic="event", what=f"{event.type} {event.version}", why=f"id {event.id}"),
        Fact(
            topic="place",
            what=at if origin is None else f"{at} at offset {origin.offset}",
            why=f"murmur2({event.key!r}) mod {plan.kafka.partitions} is {computed}",
        ),
    ]
    if event.framed is not None:
        facts.append(
            Fact(
                topic="written with",
                what=f"schema id {schema_id_of(event.framed)}",
                why="stands in the first five bytes of the record",
            )
        )
    shown = rooms(event, plan.catalog.get(event.type))
    facts.append(
        Fact(topic="shown in", what=", ".join(shown) or "no room", why="by its data and metadata")
    )
    return facts


def show_facts(facts: Sequence[Fact], *, as_json: bool) -> None:
    """Print facts to stdout: one JSON object a line, or a table."""
    if as_json:
        for fact in facts:
            sys.stdout.write(json.dumps(asdict(fact)) + "\n")
        return
    table = Table(box=None, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_column(style="dim", overflow="fold")
    previous = ""
    for fact in facts:
        table.add_row("" if fact.topic == previous else fact.topic, fact.what, fact.why)
        previous = fact.topic
    Console(width=output_width(PIPE_WIDTH)).print(table)
