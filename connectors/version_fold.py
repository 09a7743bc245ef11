"""Folds history into one version of a projection, from its checkpoint on."""

from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import datetime

from connectors.history import History, Wanted
from connectors.history_pages import Page, pages
from connectors.projection_errors import FoldStopped
from connectors.projection_store import ProjectionStore, RowBatch, VersionClaim
from streams.folding import Folded, FoldFailure, fold_rows, keyed
from streams.projection import Projection


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectionEdges:
    """What projections stand on: the history that they read, the rows that they write."""

    history: History
    store: ProjectionStore


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldProgress:
    """How far one call has come: offsets passed of all there are, and events folded."""

    offsets: int
    of: int
    events: int


FoldListener = Callable[[FoldProgress], None]


def quietly(_progress: FoldProgress) -> None:
    """Nobody listens."""


class VersionFold:
    """The owner of one version, as long as its claim holds."""

    def __init__(
        self,
        projection: Projection,
        edges: ProjectionEdges,
        claim: VersionClaim,
        since: datetime | None = None,
    ) -> None:
        """`since`: events that are older by their own time are left out."""
        self.claim = claim
        self._projection = projection
        self._edges = edges
        self._wanted = Wanted(patterns=projection.patterns, since=since)

    def behind(self, ends: Mapping[int, int]) -> int:
        """How many offsets of known partitions are not folded yet."""
        return sum(max(0, ends.get(it, 0) - at) for it, at in self.claim.next.items())

    async def up_to(self, ends: Mapping[int, int], heard: FoldListener = quietly) -> int:
        """Fold everything below `ends`; returns how many events that was.

        Raises FoldStopped (what stands before the failing event is folded, and the version given
        back), TakenOver, DatabaseUnavailable.
        """
        total, events = self.behind(ends), 0
        stream = pages(self._edges.history, self._wanted, self.claim.next, ends)
        async with aclosing(stream):
            async for page in stream:
                folded = await self._apply(page)
                events += folded.events
                heard(FoldProgress(offsets=total - self.behind(ends), of=total, events=events))
                if folded.failure is not None:
                    await self._edges.store.stop(self.claim, folded.failure)
                    raise FoldStopped(self._projection.name, folded.failure)
        return events

    async def _apply(self, page: Page) -> Folded:
        if not page.events and page.next.items() <= self.claim.next.items():
            return Folded(rows=(), events=0)
        batch = keyed(self._projection, page.events)
        rows = await self._edges.store.rows(self.claim.version_id, batch.distinct_keys())
        folded = fold_rows(self._projection, rows, batch.deliveries)
        failure = folded.failure or batch.failure
        following = page.next if failure is None else _up_to_failure(page, failure)
        self.claim = await self._edges.store.write(
            self.claim, RowBatch(rows=folded.rows, next=following)
        )
        return replace(folded, failure=failure)


def _up_to_failure(page: Page, failure: FoldFailure) -> Mapping[int, int]:
    """Where each partition goes on when nothing from the failing event on was folded."""
    places = [(stored.partition, stored.offset) for stored in page.events]
    failing = places.index((failure.partition, failure.offset))
    # The first of a partition is the one that counts: so they are gone through backwards.
    return {**page.next, **dict(reversed(places[failing:]))}
