"""Projections by name: which app defines one, and where its rows and its history are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from connectors.projection_errors import UnknownProjection
from connectors.projection_store import KnownProjection
from connectors.version_fold import ProjectionEdges
from streams.app import App
from streams.projection import KeptIn, Projection
from streams.runtime.loading import load_app


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A projection as its app defines it; `known` is None for a table."""

    app: App
    module: str
    projection: Projection
    known: KnownProjection | None


async def find_projection(edges: ProjectionEdges, name: str, module: str | None) -> Found:
    """The projection of a name: of the app that is given, else of the one that has run it.

    Raises UnknownProjection, AppNotFound.
    """
    registered = await edges.store.find(name)
    if module is None:
        modules = {it.module for it in registered}
        if len(modules) != 1:
            raise UnknownProjection(name, [it.name for it in await edges.store.find()])
        (module,) = modules
    app = load_app(module)
    projection = next((it for it in app.projections if it.name == name), None)
    if projection is None:
        raise UnknownProjection(name, [it.name for it in app.projections])
    known = None
    if projection.kept_in is KeptIn.POSTGRES:
        known = await edges.store.register(app.name, module, projection)
    return Found(app=app, module=module, projection=projection, known=known)


async def known_projections(
    edges: ProjectionEdges, module: str | None
) -> Sequence[KnownProjection]:
    """What is written down; of one app where it is given, its tables included."""
    if module is None:
        return await edges.store.find()
    app = load_app(module)
    tables = [
        KnownProjection(app=app.name, name=it.name, module=module, live=None, previous=None)
        for it in app.projections_in(KeptIn.TABLE)
    ]
    return [*await edges.store.find(app=app.name), *tables]
