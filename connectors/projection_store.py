"""What projections need of a database: versions side by side, each folded by one process at a time.

Rows and checkpoints move together. A claim is compared with every write, so that a process whose
version was taken over changes nothing any more.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from streams.folding import FoldFailure, Row
from streams.projection import Projection


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownProjection:
    """A projection and its pointer: the version that is read, and the one before it."""

    app: str
    name: str
    module: str
    live: int | None
    previous: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """Rows that one revision of a fold has made."""

    version_id: int
    version: int
    revision: int
    is_worked_on: bool = False
    failure: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionClaim:
    """The right to fold a version further: from these offsets, as the owner of this epoch."""

    version_id: int
    epoch: int
    topic_id: str
    next: Mapping[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class RowBatch:
    """Changed rows, and how far each partition advances by them."""

    rows: Sequence[Row]
    next: Mapping[int, int]


class LiveRow(NamedTuple):
    """A row as readers see it, and the version that it is of."""

    row: Row
    version: int

    def as_mapping(self, projection: str) -> Mapping[str, Any]:
        """For JSON."""
        return {
            "projection": projection,
            "key": self.row.key,
            "state": self.row.decoded(),
            "events": self.row.events,
            "version": self.version,
            "coverage": dict(self.row.coverage),
        }


class Difference(NamedTuple):
    """A key whose states differ; None where a version has no row of it. States are JSON."""

    key: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """Two versions compared row by row at the same checkpoint."""

    rows: int
    differences: int
    shown: Sequence[Difference]


UpTo = Callable[[Mapping[int, int]], Awaitable[object]]
"""Folds a version up to exactly these offsets."""


class ProjectionStore(Protocol):
    """A database with the rows of projections. Every method may raise DatabaseUnavailable."""

    async def register(self, app: str, module: str, projection: Projection) -> KnownProjection:
        """Write a projection down; one that has no version yet gets a first one, which is live."""
        ...

    async def find(
        self, name: str | None = None, app: str | None = None
    ) -> Sequence[KnownProjection]:
        """What is written down."""
        ...

    async def versions(self, app: str, name: str) -> Sequence[Version]:
        """All versions of a projection, oldest first."""
        ...

    async def checkpoints(self, version_id: int) -> Mapping[int, int]:
        """Up to where a version is folded, by partition."""
        ...

    async def create(self, app: str, name: str, revision: int) -> Version:
        """A further version, empty. Versions that nobody reads or works on are removed."""
        ...

    async def drop(self, version_id: int) -> None:
        """Remove a version, unless it is live."""
        ...

    async def claim(self, version_id: int, owner: str) -> VersionClaim | None:
        """Take a version over; None while another owner has its lease. Clears its failure."""
        ...

    async def release(self, claim: VersionClaim) -> None:
        """Give a version back before its lease is over."""
        ...

    async def stop(self, claim: VersionClaim, failure: FoldFailure) -> None:
        """Give a version back and write down why it cannot go on."""
        ...

    async def rows(self, version_id: int, keys: Sequence[str]) -> Mapping[str, Row]:
        """The rows of some keys; those without a row are left out."""
        ...

    async def write(self, claim: VersionClaim, batch: RowBatch) -> VersionClaim:
        """Rows, checkpoints and the lease, in one transaction; returns the claim advanced by it.

        Raises TakenOver (nothing is changed) and DatabaseUnavailable (the outcome may be unknown:
        claim again, and go on from what the claim says).
        """
        ...

    async def renew(self, claim: VersionClaim) -> None:
        """Keep the lease while there is nothing to write. Raises TakenOver."""
        ...

    async def live_row(self, app: str, name: str, key: str) -> LiveRow | None:
        """The row of a key in the version that is read."""
        ...

    async def compare(self, before: int, after: int, up_to: UpTo) -> Parity:
        """Compare two versions by their ids, row by row, at the checkpoints of `before`.

        It is held where it is meanwhile, and `up_to` brings `after` to the same place; who reads
        rows waits for nothing.
        """
        ...

    async def switch(
        self, known: KnownProjection, version: int, claim: VersionClaim | None = None
    ) -> KnownProjection:
        """Let another version be read, in one step; who has built it gives the claim to it.

        Nothing is changed by what it raises: TakenOver when the claim does not hold any more,
        LiveMoved, and VersionGone when the version was removed.
        """
        ...
