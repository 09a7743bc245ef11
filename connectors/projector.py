"""Keeps the live version of one projection up to date: catches up, then follows the store.

One process owns all partitions of a version, so an entry that gathers events of several partitions
is exact. Several processes share the projections of an app; one that dies is followed by another.
"""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final

import structlog

from connectors.backoff import delays, pause
from connectors.errors import ConnectorsError, NotMigrated
from connectors.projection_errors import FoldStopped, NoLiveVersion, TakenOver
from connectors.projection_store import Version
from connectors.version_fold import FoldProgress, ProjectionEdges, VersionFold
from schemas.errors import SchemaError, WundrError
from streams.errors import InfrastructureError
from streams.folding import FoldFailure
from streams.projection import Projection

POLL_S: Final = 0.1
"""How soon a projection that has caught up looks for new events."""

LOOK_AGAIN_S: Final = 1.0
"""How soon it is noticed that another version is live, or that an owner has gone."""

_log = structlog.get_logger(__name__)


class ProjectorState(StrEnum):
    """What a projector does at the moment."""

    STARTING = "starting"
    FOLDING = "folding"
    STANDBY = "standby"
    """Another process has the version."""
    OUTDATED = "outdated"
    """The live version is of another revision of the fold: it is to be rebuilt."""
    STOPPED = "stopped"
    """The fold raised: it goes on when the version is switched or the process starts again."""
    WAITING = "waiting"
    """Postgres is away, or there is no live version."""


@dataclass(slots=True, kw_only=True)
class ProjectorStatus:
    """What a projector can say about itself, for `/live`."""

    state: ProjectorState = ProjectorState.STARTING
    version: int | None = None
    events: int = 0
    behind: int = 0
    waiting_for: str | None = None
    failure: FoldFailure | None = None

    def as_mapping(self) -> Mapping[str, Any]:
        """Ids and counts only."""
        return asdict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectorSettings:
    """Names and times of a projector; `module` is the app's import path."""

    app: str
    module: str
    owner: str
    poll_s: float = POLL_S
    look_again_s: float = LOOK_AGAIN_S
    first_delay_s: float = 0.2
    longest_delay_s: float = 5.0


class Projector:
    """Folds one projection until it is told to stop."""

    def __init__(
        self, projection: Projection, edges: ProjectionEdges, settings: ProjectorSettings
    ) -> None:
        self.name = projection.name
        self.status = ProjectorStatus()
        self._projection = projection
        self._edges = edges
        self._settings = settings
        self._is_registered = False

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`; what is away is waited for. Raises NotMigrated."""
        waits = self._schedule()
        while not stop.is_set():
            try:
                await self._follow_live(stop)
                waits = self._schedule()
            except (InfrastructureError, SchemaError, NoLiveVersion) as error:
                await self._wait(error, next(waits), stop)
            except TakenOver as error:
                _log.warning("taken over", name=self.name, reason=error.message)
            except FoldStopped as error:
                await self._stand_still(str(error.failure), error.failure, stop)
            except NotMigrated:
                raise
            except ConnectorsError as error:
                # Postgres will never take this: one projection stands still, and no other.
                await self._stand_still(error.message, None, stop)

    async def _follow_live(self, stop: asyncio.Event) -> None:
        """Fold the live version for as long as it is live and ours."""
        live = await self._live()
        self.status.waiting_for, self.status.version = None, live.version
        if live.revision != self._projection.revision:
            await self._rest(ProjectorState.OUTDATED, stop)
            return
        claim = await self._edges.store.claim(live.version_id, self._settings.owner)
        if claim is None:
            await self._rest(ProjectorState.STANDBY, stop)
            return
        fold = VersionFold(self._projection, self._edges, claim)
        self.status.state, self.status.failure = ProjectorState.FOLDING, None
        try:
            while not stop.is_set():
                is_whole = await self._fold_for_a_while(fold, stop)
                if not is_whole or (await self._live()).version != live.version:
                    return
                await self._edges.store.renew(fold.claim)
        finally:
            # A lease that cannot be given back is over by itself soon.
            with suppress(InfrastructureError):
                await self._edges.store.release(fold.claim)

    async def _fold_for_a_while(self, fold: VersionFold, stop: asyncio.Event) -> bool:
        """Catch up again and again; False when the store has partitions that the claim lacks."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._settings.look_again_s
        while loop.time() < until and not stop.is_set():
            ends = await self._edges.history.ends()
            if ends.keys() - fold.claim.next.keys():
                return False
            before = self.status.events

            def heard(progress: FoldProgress, before: int = before) -> None:
                self.status.events = before + progress.events
                self.status.behind = progress.of - progress.offsets

            await fold.up_to(ends, heard)
            await pause(self._settings.poll_s, stop)
        return True

    async def _live(self) -> Version:
        settings, store = self._settings, self._edges.store
        if not self._is_registered:
            await store.register(settings.app, settings.module, self._projection)
            self._is_registered = True
        known = await store.find(self.name, settings.app)
        versions = await store.versions(settings.app, self.name)
        for version in versions:
            if known and version.version == known[0].live:
                return version
        raise NoLiveVersion(self.name)

    async def _wait(self, error: WundrError, delay_s: float, stop: asyncio.Event) -> None:
        self.status.state = ProjectorState.WAITING
        self.status.waiting_for = error.code
        _log.warning("waiting", code=error.code, reason=error.message, seconds=delay_s)
        await pause(delay_s, stop)

    async def _stand_still(
        self, reason: str, failure: FoldFailure | None, stop: asyncio.Event
    ) -> None:
        """Wait until a version is live that has not stopped."""
        self.status.state = ProjectorState.STOPPED
        self.status.failure = failure
        _log.error("projection stopped", name=self.name, reason=reason)
        stopped = self.status.version
        while not stop.is_set():
            await pause(self._settings.look_again_s, stop)
            with suppress(InfrastructureError, NoLiveVersion):
                live = await self._live()
                if live.version != stopped:
                    return

    async def _rest(self, state: ProjectorState, stop: asyncio.Event) -> None:
        self.status.state = state
        await pause(self._settings.look_again_s, stop)

    def _schedule(self) -> Iterator[float]:
        return delays(self._settings.first_delay_s, self._settings.longest_delay_s)


def status_of(projectors: Mapping[str, Projector]) -> Mapping[str, Any]:
    """For `/live`: the worst of all, and each by its name."""
    states = {projector.status.state for projector in projectors.values()}
    worst = next(
        (
            state
            for state in (
                ProjectorState.STOPPED,
                ProjectorState.WAITING,
                ProjectorState.OUTDATED,
                ProjectorState.STARTING,
            )
            if state in states
        ),
        "running",
    )
    return {
        "status": worst,
        "projections": {name: it.status.as_mapping() for name, it in projectors.items()},
    }
