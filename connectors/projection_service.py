"""Puts projections together from real parts: Postgres, and Kafka for schemas of newer producers."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any

from connectors.first_error import first_error
from connectors.past_state import AsOf, state_as_of
from connectors.postgres.database import Database
from connectors.postgres.history import PostgresHistory
from connectors.postgres.projection_store import PostgresProjectionStore
from connectors.projector import Projector
from connectors.store_plan import StorePlan
from connectors.version_fold import ProjectionEdges
from schemas.codec import Codec
from streams.app import App
from streams.impatient_schemas import ImpatientSchemas
from streams.kafka.schema_topic import open_schemas
from streams.projection import KeptIn


@asynccontextmanager
async def projection_edges(plan: StorePlan) -> AsyncIterator[ProjectionEdges]:
    """History and rows; Kafka is asked for nothing but schemas that this release does not have."""
    codec = Codec(plan.catalog, keys=plan.keys, upcasts=True)
    async with open_schemas(plan.kafka, codec) as (schemas, _), Database(plan.postgres) as database:
        yield ProjectionEdges(
            history=PostgresHistory(database, codec, ImpatientSchemas(schemas)),
            store=PostgresProjectionStore(database),
        )


async def run_projectors(projectors: Sequence[Projector], stop: asyncio.Event) -> None:
    """Run all until `stop`; when one cannot go on at all, the others end too, and it is raised.

    Raises NotMigrated.
    """
    with first_error():
        async with asyncio.TaskGroup() as running:
            for projector in projectors:
                running.create_task(projector.run(stop), name=f"projection {projector.name}")


class StoredReads:
    """Implements the worker's StoredProjections; connects when the first question comes."""

    def __init__(
        self, app: App, open_edges: Callable[[], AbstractAsyncContextManager[ProjectionEdges]]
    ) -> None:
        self._app = app
        self._open_edges = open_edges
        self._opening = asyncio.Lock()
        self._open = AsyncExitStack()
        self._edges: ProjectionEdges | None = None

    def names(self) -> Collection[str]:
        """See StoredProjections."""
        return [known.name for known in self._app.projections_in(KeptIn.POSTGRES)]

    async def live(self, name: str, key: str) -> Mapping[str, Any] | None:
        """See StoredProjections. Raises DatabaseUnavailable."""
        edges = await self._connected()
        found = await edges.store.live_row(self._app.name, name, key)
        return None if found is None else found.as_mapping(name)

    async def as_of(self, name: str, key: str, at: str) -> Mapping[str, Any] | None:
        """See StoredProjections. Raises FoldStopped, DatabaseUnavailable."""
        moment = AsOf.parse(at)
        projection = next(known for known in self._app.projections if known.name == name)
        edges = await self._connected()
        found = await state_as_of(projection, edges.history, key, moment)
        return None if found is None else found.as_mapping(name)

    async def aclose(self) -> None:
        """Let the connections go, if there are any."""
        await self._open.aclose()

    async def _connected(self) -> ProjectionEdges:
        async with self._opening:
            if self._edges is None:
                self._edges = await self._open.enter_async_context(self._open_edges())
            return self._edges
