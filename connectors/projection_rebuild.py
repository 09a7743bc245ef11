"""A projection built anew beside the one that is read, compared with it, switched to in one step.

Folds are pure: nothing is emitted on the way. While a rebuild runs, the live version is folded and
read as ever; when it fails, nothing has changed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from connectors.projection_errors import NoPreviousVersion, VersionInUse
from connectors.projection_store import KnownProjection, Parity, Version
from connectors.version_fold import FoldProgress, ProjectionEdges, VersionFold
from connectors.version_lease import leased
from streams.projection import Projection


class RebuildPhase(StrEnum):
    """The steps of a rebuild, in order."""

    HISTORY = "history"
    """The fold of what the live version has folded."""
    COMPARING = "comparing"
    TAIL = "tail"
    """The fold of what has come since."""
    SWITCHED = "switched"


@dataclass(frozen=True, slots=True, kw_only=True)
class RebuildProgress:
    """Where a rebuild is: offsets of the store that are passed, of those known, in all phases."""

    phase: RebuildPhase
    offsets: int
    of: int
    events: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RebuildReport:
    """What a rebuild has done; `parity` is None where there was nothing to compare with."""

    name: str
    before: int | None
    version: int
    revision: int
    events: int
    parity: Parity | None
    is_switched: bool

    def as_mapping(self) -> Mapping[str, Any]:
        """For JSON."""
        parity = self.parity
        return {
            "name": self.name,
            "before": self.before,
            "version": self.version,
            "revision": self.revision,
            "events": self.events,
            "rows": None if parity is None else parity.rows,
            "differences": None if parity is None else parity.differences,
            "shown": [] if parity is None else [it._asdict() for it in parity.shown],
            "switched": self.is_switched,
        }


RebuildListener = Callable[[RebuildProgress], None]


class Rebuild:
    """One rebuild of one projection."""

    def __init__(
        self,
        known: KnownProjection,
        projection: Projection,
        edges: ProjectionEdges,
        owner: str,
        heard: RebuildListener = lambda _progress: None,
    ) -> None:
        """Nothing is read or written before `run`. `owner` is a name that no other process has."""
        self._known = known
        self._projection = projection
        self._edges = edges
        self._owner = owner
        self._heard = heard
        self._events = 0
        self._passed = 0

    async def run(self, *, switches: bool = True, since: datetime | None = None) -> RebuildReport:
        """Build, compare and switch; without `switches` the new version is removed again.

        With `since` it holds only events from that time on, and those that are yet to come.
        Raises FoldStopped with the event named, LiveMoved, VersionInUse, TakenOver and
        DatabaseUnavailable: the live version stays what it is then.
        """
        store = self._edges.store
        before = await self._live()
        made = await store.create(self._known.app, self._known.name, self._projection.revision)
        fold = await self._claimed(made, since)
        async with leased(store, fold.claim):
            parity = await self._compared(before, fold)
            if switches:
                await self._follow(fold)
                self._known = await store.switch(self._known, made.version, fold.claim)
                self._tell(RebuildPhase.SWITCHED, FoldProgress(offsets=0, of=0, events=0))
        if not switches:
            # Only now: a lease of what is gone cannot be renewed.
            await store.drop(made.version_id)
        return RebuildReport(
            name=self._known.name,
            before=None if before is None else before.version,
            version=made.version,
            revision=made.revision,
            events=self._events,
            parity=parity,
            is_switched=switches,
        )

    async def _live(self) -> Version | None:
        versions = await self._edges.store.versions(self._known.app, self._known.name)
        return next((it for it in versions if it.version == self._known.live), None)

    async def _claimed(self, made: Version, since: datetime | None) -> VersionFold:
        claim = await self._edges.store.claim(made.version_id, self._owner)
        if claim is None:
            raise VersionInUse(self._known.name, made.version)
        return VersionFold(self._projection, self._edges, claim, since)

    async def _compared(self, before: Version | None, fold: VersionFold) -> Parity | None:
        """Compare at the very checkpoint of the live version; None when it has folded nothing."""
        if before is None:
            return None
        store = self._edges.store
        reached = await store.checkpoints(before.version_id)
        if not any(reached.values()):
            return None

        async def up_to(reached: Mapping[int, int]) -> None:
            await self._fold(RebuildPhase.HISTORY, fold, reached)

        # Most of it before the live version is held, so that it is not held for long.
        await up_to(reached)
        self._tell(RebuildPhase.COMPARING, FoldProgress(offsets=0, of=0, events=0))
        return await store.compare(before.version_id, fold.claim.version_id, up_to)

    async def _follow(self, fold: VersionFold) -> None:
        while fold.behind(ends := await self._edges.history.ends()):
            await self._fold(RebuildPhase.TAIL, fold, ends)

    async def _fold(
        self, phase: RebuildPhase, fold: VersionFold, reached: Mapping[int, int]
    ) -> None:
        """Fold up to these offsets, or up to where the store ends."""
        ends = await self._edges.history.ends()
        bounds = {it: min(reached.get(it, 0), end) for it, end in ends.items()}
        told = FoldProgress(offsets=0, of=0, events=0)

        def heard(progress: FoldProgress) -> None:
            nonlocal told
            told = progress
            self._tell(phase, progress)

        self._events += await fold.up_to(bounds, heard)
        self._passed += told.offsets

    def _tell(self, phase: RebuildPhase, progress: FoldProgress) -> None:
        self._heard(
            RebuildProgress(
                phase=phase,
                offsets=self._passed + progress.offsets,
                of=self._passed + progress.of,
                events=self._events + progress.events,
            )
        )


async def go_back(known: KnownProjection, edges: ProjectionEdges) -> KnownProjection:
    """Let the version be read again that was live before, and goes on from where it was left.

    Raises NoPreviousVersion, LiveMoved, VersionGone.
    """
    if known.previous is None:
        raise NoPreviousVersion(known.name)
    return await edges.store.switch(known, known.previous)
