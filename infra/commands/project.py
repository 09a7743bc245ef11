"""`wundr project`: keeps the Postgres projections of an app up to date until SIGTERM."""

from __future__ import annotations

import asyncio
import uuid
from typing import Annotated

import structlog
import typer

from connectors.projection_service import projection_edges, run_projectors
from connectors.projector import Projector, ProjectorSettings
from connectors.sink_service import migrate_when_available
from connectors.status_pages import projection_pages
from connectors.store_plan import StorePlan
from infra.process_pages import HttpHost, HttpPort, pages_place
from infra.settings import load_settings
from infra.signals import run_until_signalled
from infra.store_plan import store_plan
from streams.app import App
from streams.pages import LOOPBACK, PagesPlace, served
from streams.projection import KeptIn
from streams.runtime.collecting import collect_garbage_less_often
from streams.runtime.loading import load_app

app = typer.Typer(add_completion=False)
log = structlog.get_logger(__name__)


@app.command()
def project(
    target: Annotated[str, typer.Argument(metavar="APP", help="Import path of the app.")],
    http_port: HttpPort = 0,
    http_host: HttpHost = LOOPBACK,
) -> None:
    """Fold stored events into the app's rows. SIGTERM finishes the batch in work, then ends.

    Example: wundr project examples.analysis.app
    """
    team_app = load_app(target)
    collect_garbage_less_often()
    plan = store_plan("wundr-project")
    place = pages_place(load_settings(), f"project-{team_app.name}", http_port, http_host)
    run_until_signalled(lambda stop: run_project(team_app, target, plan, place, stop))


async def run_project(
    team_app: App, module: str, plan: StorePlan, place: PagesPlace, stop: asyncio.Event
) -> None:
    """Run all Postgres projections of an app with their pages until `stop`."""
    await migrate_when_available(plan.postgres, stop)
    settings = ProjectorSettings(app=team_app.name, module=module, owner=uuid.uuid4().hex)
    async with projection_edges(plan) as edges:
        projectors = {
            known.name: Projector(known, edges, settings)
            for known in team_app.projections_in(KeptIn.POSTGRES)
        }
        async with served(projection_pages(team_app.name, projectors), place) as url:
            log.info(
                "projections run",
                app=team_app.name,
                projections=sorted(projectors),
                live=f"{url}/live",
            )
            await run_projectors([*projectors.values()], stop)
            await stop.wait()
            log.info("projections stopped", app=team_app.name)
