"""`wundr sagas`: where the courses of sagas stand, and what one has taken in."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from connectors.errors import CourseNotFound
from connectors.postgres.database import Database
from connectors.saga_overview import CourseOverview, Wanted, list_courses
from connectors.saga_service import saga_store
from connectors.settings import WRITER_ROLE
from infra.store_plan import store_plan
from schemas.event import Event

app = typer.Typer(add_completion=False, no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")]
AppName = Annotated[str | None, typer.Option("--app", help="Only the sagas of this app.")]


@app.command("list")
def list_sagas(
    saga: Annotated[str | None, typer.Argument(metavar="[SAGA]", help="Only this saga.")] = None,
    *,
    app_name: AppName = None,
    over: Annotated[bool, typer.Option("--over", help="Those that are over, too.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many at most.")] = 100,
    as_json: AsJson = False,
) -> None:
    """Show the courses that are not over, those first that have stood still the longest.

    Example: wundr sagas list setup-workflow --json
    """
    wanted = Wanted(app=app_name, saga=saga, over=over, limit=limit)
    courses = asyncio.run(_listed(wanted))
    if courses or as_json:
        _show(courses, as_json=as_json)
    else:
        sys.stderr.write(f"{_none(wanted)}\n")


@app.command()
def show(
    saga: Annotated[str, typer.Argument(metavar="SAGA")],
    key: Annotated[str, typer.Argument(metavar="KEY")],
    *,
    app_name: AppName = None,
    as_json: AsJson = False,
) -> None:
    """Show one course: the events that it has taken in, and the deadlines that it waits for.

    Example: wundr sagas show setup-workflow 4f1c
    """
    for course, taken_in in asyncio.run(_shown(saga, key, app_name)):
        facts = {**course.as_mapping(), "taken_in": [_facts(event) for event in taken_in]}
        _print_course(facts, as_json=as_json)


async def _listed(wanted: Wanted) -> list[CourseOverview]:
    async with Database(store_plan("wundr-sagas", WRITER_ROLE).postgres) as database:
        return await list_courses(database, wanted)


async def _shown(
    saga: str, key: str, app_name: str | None
) -> list[tuple[CourseOverview, Sequence[Event[Any]]]]:
    """The course, or one of each app that has such a one. Raises CourseNotFound."""
    wanted = Wanted(app=app_name, saga=saga, key=key, over=True)
    courses = await _listed(wanted)
    if not courses:
        raise CourseNotFound(saga, key)
    async with saga_store(store_plan("wundr-sagas", WRITER_ROLE)) as store:
        found = [await store.find(course.address) for course in courses]
    return [
        (course, () if stored is None else stored.taken_in)
        for course, stored in zip(courses, found, strict=True)
    ]


def _facts(event: Event[Any]) -> Mapping[str, str | None]:
    return {
        "type": event.type,
        "id": event.id,
        "timestamp": event.timestamp.isoformat(),
        "causation_id": event.causation_id,
    }


def _show(courses: Sequence[CourseOverview], *, as_json: bool) -> None:
    if as_json:
        for course in courses:
            sys.stdout.write(json.dumps(course.as_mapping()) + "\n")
        return
    table = Table("app", "saga", "key", "status", "steps", "changed", "waits for", box=None)
    for course in courses:
        waits = ", ".join(_waits(deadline) for deadline in course.deadlines)
        changed = course.changed_at.isoformat(timespec="seconds")
        table.add_row(*course.address, course.status, str(course.steps), changed, waits)
    Console().print(table)


def _none(wanted: Wanted) -> str:
    """That there is no such course, and what may be meant."""
    saga = "any saga" if wanted.saga is None else f"saga {wanted.saga!r}"
    app_name = "" if wanted.app is None else f" of app {wanted.app!r}"
    if wanted.over:
        return f"there is no course of {saga}{app_name}"
    return f"no course of {saga}{app_name} is open; --over shows those that are over, too"


def _print_course(facts: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(facts) + "\n")
        return
    out = sys.stdout
    out.write(f"{facts['app']}/{facts['saga']}/{facts['key']}: {facts['status']}\n")
    for event in facts["taken_in"]:
        out.write(f"  {event['timestamp']}  {event['type']}  {event['id']}\n")
    for deadline in facts["deadlines"]:
        out.write(f"  waits for {_waits(deadline)}\n")


def _waits(deadline: Mapping[str, Any]) -> str:
    failed = f", failed {deadline['failures']} times: {deadline['last_error']}"
    return f"{deadline['name']} at {deadline['due_at']}{failed if deadline['failures'] else ''}"
