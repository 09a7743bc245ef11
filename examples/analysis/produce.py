"""The process of one analysing producer: `python -m examples.analysis.produce`."""

import asyncio
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from examples.analysis.aggregate import Analysis
from examples.analysis.connection import Connection, connect
from examples.analysis.plan import PackagePlan, plan, share
from examples.analysis.producer import RELEASES, Analyses, AnalysisProducer
from infra.logs import configure_logging
from infra.settings import load_settings
from infra.stack.local import require_endpoints
from schemas.event import EventFactory
from streams.aggregate import RootModel
from streams.repository import Repository, RepositoryEdges

app = typer.Typer(add_completion=False)


@app.command()
def produce(
    *,
    root: Annotated[Path, typer.Option(help="Folder of source files.")],
    run: Annotated[str, typer.Option(help="Id of the run: the correlation of its events.")],
    part: Annotated[str, typer.Option("--share", help="Which part of the packages: 0/2, 1/2.")],
    release: Annotated[str, typer.Option(help=f"One of {', '.join(RELEASES)}.")],
    journal: Annotated[Path, typer.Option(help="Where acknowledged events are written down.")],
) -> None:
    """Analyse a part of a folder's packages, and tell what is found."""
    configure_logging()
    index, count = (int(number) for number in part.split("/"))
    plans = share(plan(root, run), index, count)
    acknowledged = asyncio.run(_produce(plans, root, run, release, journal))
    sys.stdout.write(f"{acknowledged} events acknowledged\n")


async def _produce(
    plans: tuple[PackagePlan, ...], root: Path, run: str, release: str, journal: Path
) -> int:
    endpoints = require_endpoints(load_settings())
    name = f"analysis-producer-{release}"
    async with connect(endpoints, name, journal) as connection:
        factory = EventFactory(connection.catalog, name)
        producer = AnalysisProducer(
            bus=connection.bus,
            analyses=_analyses(connection, factory),
            factory=factory,
            root=root,
            run_id=run,
            file_event=RELEASES[release],
            now_ms=lambda: time.monotonic() * 1000,
        )
        return await producer.run(plans)


def _analyses(connection: Connection, factory: EventFactory) -> Analyses:
    """No snapshots: an analysis has two events."""
    edges = RepositoryEdges(stored=connection.store, appender=connection.appender, factory=factory)
    return Repository(RootModel(Analysis, factory), edges)


if __name__ == "__main__":
    app()
