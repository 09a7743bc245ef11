"""Replay of a projection by its name: the read model as its events from some time on make it."""

from datetime import datetime

from connectors.projection_errors import TableRebuiltByWorkers, UnknownProjection
from connectors.projection_rebuild import Rebuild, RebuildListener, RebuildReport
from connectors.version_fold import ProjectionEdges
from streams.app import App
from streams.projection import KeptIn


class ProjectionReplay:
    """Replays the Postgres projections of one app."""

    def __init__(self, app: App, module: str, edges: ProjectionEdges, owner: str) -> None:
        """`module` is the app's import path, `owner` a name that no other process has."""
        self._app = app
        self._module = module
        self._edges = edges
        self._owner = owner

    async def replay_projection(
        self,
        name: str,
        from_timestamp: datetime | None = None,
        heard: RebuildListener = lambda _progress: None,
    ) -> RebuildReport:
        """Fold stored events, from a time on where one is given, into a version that goes live.

        The version before it stays, to go back to. Raises UnknownProjection,
        TableRebuiltByWorkers, and what Rebuild.run raises.
        """
        projection = next((it for it in self._app.projections if it.name == name), None)
        if projection is None:
            raise UnknownProjection(name, [it.name for it in self._app.projections])
        if projection.kept_in is not KeptIn.POSTGRES:
            raise TableRebuiltByWorkers(name)
        known = await self._edges.store.register(self._app.name, self._module, projection)
        rebuild = Rebuild(known, projection, self._edges, self._owner, heard)
        return await rebuild.run(since=from_timestamp)
