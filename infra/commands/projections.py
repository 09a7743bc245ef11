"""`wundr projections`: which read models there are, what they say, and building one anew."""

from __future__ import annotations

import asyncio
import json
import sys
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from connectors.past_state import AsOf, state_as_of
from connectors.projection_errors import TableRebuiltByWorkers, UnknownRow
from connectors.projection_rebuild import Rebuild, RebuildProgress, RebuildReport, go_back
from connectors.projection_service import projection_edges
from connectors.projection_store import KnownProjection
from infra.progress_bar import progress_bar
from infra.store_plan import store_plan
from infra.stored_projections import Found, find_projection, known_projections
from infra.times import as_of, point_in_time
from streams.runtime.collecting import collect_garbage_less_often

app = typer.Typer(add_completion=False, no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")]
AppPath = Annotated[
    str | None, typer.Option("--app", help="Import path of the app; known once it has run.")
]
Name = Annotated[str, typer.Argument(metavar="NAME")]


@app.command("list")
def list_projections(app_path: AppPath = None, *, as_json: AsJson = False) -> None:
    """Show the versions of all projections: what is live, how far behind, and where one stopped.

    Example: wundr projections list --json
    """
    _show_versions(asyncio.run(_listed(app_path)), as_json=as_json)


@app.command()
def get(
    name: Name,
    key: Annotated[str, typer.Argument(metavar="KEY")],
    *,
    at: Annotated[
        str | None, typer.Option(help="A time (2026-11-25T13:00Z) or a version (7): as of then.")
    ] = None,
    app_path: AppPath = None,
    as_json: AsJson = False,
) -> None:
    """Read one entry: the live row, or the fold of its stored history up to a time or version.

    Example: wundr projections get project-totals stdlib --at 2026-11-25T13:00Z
    """
    shown = asyncio.run(_got(name, key, as_of(at), app_path))
    text = json.dumps(shown, default=str, indent=None if as_json else 2)
    sys.stdout.write(text + "\n")


@app.command()
def rebuild(
    name: Name,
    *,
    back: Annotated[
        bool, typer.Option(help="Read the version again that was live before.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option(help="Build and compare, switch nothing, leave nothing.")
    ] = False,
    since: Annotated[
        str | None, typer.Option(help="Only events from this time on, and those yet to come.")
    ] = None,
    app_path: AppPath = None,
    as_json: AsJson = False,
) -> None:
    """Fold history into a new version, compare it with the live one, and switch to it.

    Example: wundr projections rebuild project-totals
    """
    if back:
        _say(asyncio.run(_back(name, app_path)), as_json=as_json)
        return
    collect_garbage_less_often()
    begin = None if since is None else point_in_time(since, "--since")
    report = asyncio.run(_rebuilt(name, app_path, begin, switches=not dry_run))
    _show_report(report, as_json=as_json)


async def _listed(app_path: str | None) -> list[Mapping[str, Any]]:
    async with projection_edges(store_plan("wundr-projections")) as edges:
        ends = await edges.history.ends()
        listed: list[Mapping[str, Any]] = []
        for known in await known_projections(edges, app_path):
            named = {"app": known.app, "name": known.name}
            if known.live is None:
                listed.append({**named, "state": "table", "kept_in": "workers"})
                continue
            for version in await edges.store.versions(known.app, known.name):
                reached = await edges.store.checkpoints(version.version_id)
                state = "building" if version.is_worked_on else "left"
                if version.version in (known.live, known.previous):
                    state = "live" if version.version == known.live else "previous"
                listed.append(
                    {
                        **named,
                        "state": f"{state}, stopped" if version.failure else state,
                        "kept_in": "postgres",
                        "version": version.version,
                        "revision": version.revision,
                        "behind": sum(max(0, end - reached.get(it, 0)) for it, end in ends.items()),
                        "worked_on": version.is_worked_on,
                        "failure": version.failure,
                    }
                )
        return listed


async def _got(name: str, key: str, moment: AsOf | None, app_path: str | None) -> Mapping[str, Any]:
    async with projection_edges(store_plan("wundr-projections")) as edges:
        found = await find_projection(edges, name, app_path)
        if moment is None and found.known is not None:
            live = await edges.store.live_row(found.app.name, name, key)
            if live is None:
                raise UnknownRow(name, key)
            return live.as_mapping(name)
        past = await state_as_of(found.projection, edges.history, key, moment or AsOf())
        if past is None:
            raise UnknownRow(name, key)
        return past.as_mapping(name)


async def _rebuilt(
    name: str, app_path: str | None, since: datetime | None, *, switches: bool
) -> RebuildReport:
    async with projection_edges(store_plan("wundr-rebuild")) as edges:
        found = await find_projection(edges, name, app_path)
        with progress_bar() as advance:

            def heard(progress: RebuildProgress) -> None:
                advance(progress.phase, progress.offsets, progress.of, progress.events)

            rebuild = Rebuild(_rows_of(found), found.projection, edges, uuid.uuid4().hex, heard)
            return await rebuild.run(switches=switches, since=since)


def _rows_of(found: Found) -> KnownProjection:
    if found.known is None:
        raise TableRebuiltByWorkers(found.projection.name)
    return found.known


async def _back(name: str, app_path: str | None) -> Mapping[str, Any]:
    async with projection_edges(store_plan("wundr-rebuild")) as edges:
        found = await find_projection(edges, name, app_path)
        known = await go_back(_rows_of(found), edges)
        return {"name": name, "live": known.live, "previous": known.previous}


def _show_versions(listed: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    if as_json:
        for line in listed:
            sys.stdout.write(json.dumps(line) + "\n")
        return
    table = Table("app", "projection", "version", "revision", "state", "behind", box=None)
    for it in listed:
        shown = [str(it.get(column, "")) for column in ("version", "revision", "state", "behind")]
        table.add_row(it["app"], it["name"], *shown)
    Console().print(table)
    for it in listed:
        failure = it.get("failure")
        if failure:
            place = f"{failure['partition']}/{failure['offset']}"
            sys.stdout.write(
                f"{it['name']} version {it['version']} stopped at {failure['event_type']} "
                f"{failure['event_id']} ({place}): {failure['error']}\n"
            )


def _show_report(report: RebuildReport, *, as_json: bool) -> None:
    if as_json:
        _say(report.as_mapping(), as_json=True)
        return
    out, parity = sys.stdout, report.parity
    out.write(f"{report.name}: version {report.version} holds {report.events:,} events.\n")
    if parity is None:
        out.write("There was nothing to compare it with.\n")
    else:
        out.write(
            f"Compared with version {report.before} at the same event: {parity.rows:,} rows, "
            f"{parity.differences:,} differ.\n"
        )
        for difference in parity.shown:
            out.write(f"  {difference.key}: {difference.before} -> {difference.after}\n")
        if parity.differences > len(parity.shown):
            out.write(f"  ... and {parity.differences - len(parity.shown):,} more\n")
    out.write(
        f"It is live now; go back with: wundr projections rebuild {report.name} --back\n"
        if report.is_switched
        else "Nothing was switched.\n"
    )


def _say(facts: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(facts) + "\n")
    else:
        sys.stdout.write(", ".join(f"{name} {value}" for name, value in facts.items()) + "\n")
