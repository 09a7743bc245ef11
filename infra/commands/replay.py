"""`wundr replay`: reads a part of history again into one handler; live groups notice nothing."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Annotated

import typer

from connectors.projected_rows import ChangedRows
from connectors.projection_errors import UnknownHandler
from connectors.projection_service import projection_edges
from connectors.replay import Replay, ReplayEdges, ReplayProgress, ReplayReport, Selection
from connectors.store_plan import StorePlan
from infra.given_patterns import given_pattern
from infra.progress_bar import progress_bar
from infra.store_plan import store_plan
from infra.times import offsets, point_in_time
from schemas.codec import Codec
from schemas.event import EventFactory
from streams.app import App
from streams.handler import BatchHandler, Handler
from streams.kafka.schema_topic import open_schemas
from streams.projection import KeptIn
from streams.publisher import EventPublisher
from streams.rehearsal import Rehearsal
from streams.runtime.loading import load_app

app = typer.Typer(add_completion=False)


Target = Annotated[str, typer.Argument(metavar="APP", help="Import path of the app.")]
Named = Annotated[str, typer.Argument(metavar="HANDLER", help="Name of the handler.")]
Since = Annotated[str | None, typer.Option(help="Only events from this time on.")]
Until = Annotated[str | None, typer.Option(help="Only events up to this time.")]
Type = Annotated[
    str | None, typer.Option("--type", help="A type or a pattern; the handler's otherwise.")
]
Key = Annotated[str | None, typer.Option(help="Only events of one key: TYPE/ID.")]
Offsets = Annotated[
    list[str] | None,
    typer.Option(help="Offsets of the store: PARTITION:FIRST-END; several times, END optional."),
]
DryRun = Annotated[
    bool, typer.Option(help="Send nothing: show what is emitted that was not, and what changes.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON line.")]


@app.command()
def replay(
    target: Target,
    handler: Named,
    *,
    since: Since = None,
    until: Until = None,
    event_type: Type = None,
    key: Key = None,
    offset: Offsets = None,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Run a handler on stored events. What it emits and is stored already is not sent again.

    What a handler does beside emitting, it does also here. Exit code 1 when it raised.

    Example: wundr replay examples.analysis.app notify --since 2026-11-25 --dry-run
    """
    team_app = load_app(target)
    found = _handler(team_app, handler)
    selection = Selection(
        patterns=(found.pattern if event_type is None else given_pattern(event_type),),
        since=None if since is None else point_in_time(since, "--since"),
        until=None if until is None else point_in_time(until, "--until"),
        key=key,
        offsets=offsets(offset or ()),
    )
    report = asyncio.run(_replayed(team_app, found, selection, dry_run=dry_run))
    _show(report, dry_run=dry_run, as_json=as_json)
    if report.failed:
        raise typer.Exit(1)


def _handler(team_app: App, name: str) -> Handler | BatchHandler:
    known: dict[str, Handler | BatchHandler] = {it.name: it for it in team_app.handlers}
    known |= {it.name: it for it in team_app.batch_handlers}
    if name not in known:
        raise UnknownHandler(name, known)
    return known[name]


async def _replayed(
    team_app: App, handler: Handler | BatchHandler, selection: Selection, *, dry_run: bool
) -> ReplayReport:
    plan = store_plan("wundr-replay")
    rehearsal = Rehearsal(team_app.name, handler, EventFactory(plan.catalog, team_app.name))
    async with AsyncExitStack() as closing:
        edges = await closing.enter_async_context(projection_edges(plan))
        publisher = None if dry_run else await closing.enter_async_context(_publisher(plan))
        rows = ChangedRows(team_app.name, team_app.projections_in(KeptIn.POSTGRES), edges.store)
        with progress_bar() as advance:

            def heard(progress: ReplayProgress) -> None:
                advance("replay", progress.offsets, progress.of, progress.events)

            replay_edges = ReplayEdges(history=edges.history, publisher=publisher, rows=rows)
            return await Replay(rehearsal, replay_edges, heard).run(selection)


@asynccontextmanager
async def _publisher(plan: StorePlan) -> AsyncIterator[EventPublisher]:
    codec = Codec(plan.catalog, keys=plan.keys)
    async with open_schemas(plan.kafka, codec) as (schemas, sender):
        yield EventPublisher(plan.catalog, codec, sender, schemas)


def _show(report: ReplayReport, *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(report.as_mapping()) + "\n")
        return
    out = sys.stdout
    out.write(
        f"{report.read:,} events read, {report.handled:,} handled, {report.failed:,} failed.\n"
    )
    out.write(
        f"Emitted: {report.new:,} new, {report.same:,} as stored, {report.changed:,} stored with "
        f"other data, {report.gone:,} stored and not emitted any more.\n"
    )
    for line in report.shown:
        out.write(f"  {line}\n")
    for name, count in report.rows.items():
        out.write(f"Rows of {name} that the new events change: {count:,}\n")
    for failure in report.failures:
        out.write(f"Failed at {failure}\n")
    out.write("Nothing was sent.\n" if dry_run else f"{report.published:,} new events were sent.\n")
