"""`wundr project`: keeps the Postgres projections of an app up to date until SIGTERM."""

from __future__ import annotations

import asyncio
import uuid
from typing import Annotated

import structlog
import typer

from connectors.live import live_page
from connectors.projection_service import ProjectionPlan, projection_edges, run_projectors
from connectors.projector import Projector, ProjectorSettings, status_of
from connectors.sink_service import migrate_when_available
from infra.signals import run_until_signalled
from infra.stored_projections import projection_plan
from streams.app import App
from streams.projection import KeptIn
from streams.runtime.collecting import collect_garbage_less_often
from streams.runtime.loading import load_app

app = typer.Typer(add_completion=False)
log = structlog.get_logger(__name__)


@app.command()
def project(
    target: Annotated[str, typer.Argument(metavar="APP", help="Import path of the app.")],
    live_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of /live on loopback; 0 takes a free one.")
    ] = 0,
) -> None:
    """Fold stored events into the app's rows. SIGTERM finishes the batch in work, then ends.

    Example: wundr project examples.analysis.app
    """
    team_app = load_app(target)
    collect_garbage_less_often()
    plan = projection_plan("wundr-project")
    run_until_signalled(lambda stop: run_project(team_app, target, plan, live_port, stop))


async def run_project(
    team_app: App, module: str, plan: ProjectionPlan, live_port: int, stop: asyncio.Event
) -> None:
    """Run all Postgres projections of an app with their live page until `stop`."""
    await migrate_when_available(plan.postgres, stop)
    settings = ProjectorSettings(app=team_app.name, module=module, owner=uuid.uuid4().hex)
    async with projection_edges(plan) as edges:
        projectors = {
            known.name: Projector(known, edges, settings)
            for known in team_app.projections_in(KeptIn.POSTGRES)
        }
        async with live_page(lambda: status_of(projectors), live_port) as port:
            log.info(
                "projections run",
                app=team_app.name,
                projections=sorted(projectors),
                live=f"http://127.0.0.1:{port}/live",
            )
            await run_projectors([*projectors.values()], stop)
            await stop.wait()
            log.info("projections stopped", app=team_app.name)
