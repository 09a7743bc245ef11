"""Snapshots: the state of an aggregate at a version, so that not all of its history is read.

Derived and disposable: a snapshot of another schema version, or one that cannot be read, is as good
as none.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeVar

import orjson

from streams.errors import StateNotStorable
from streams.event_store import LAST_VERSION

StateT = TypeVar("StateT")


class Snapshot(NamedTuple):
    """The state of one aggregate after `version` events, as `schema_version` of its form has it."""

    aggregate_type: str
    aggregate_id: str
    schema_version: int
    version: int
    state: bytes


class Snapshots(Protocol):
    """Keeps the latest snapshot per aggregate and schema version."""

    async def latest(
        self,
        aggregate_type: str,
        aggregate_id: str,
        schema_version: int,
        target_version: int = LAST_VERSION,
    ) -> Snapshot | None:
        """The snapshot of this schema version; None when there is none up to the target."""
        ...

    async def save(self, snapshot: Snapshot) -> None:
        """Keep it unless a newer one is there; those of older schema versions go."""
        ...

    async def drop(self, aggregate_type: str, aggregate_id: str) -> None:
        """Forget every snapshot of an aggregate."""
        ...


class NoSnapshots:
    """Keeps none: every history is read from its beginning."""

    async def latest(
        self,
        aggregate_type: str,
        aggregate_id: str,
        schema_version: int,
        target_version: int = LAST_VERSION,
    ) -> Snapshot | None:
        """See Snapshots."""
        return None

    async def save(self, snapshot: Snapshot) -> None:
        """See Snapshots."""

    async def drop(self, aggregate_type: str, aggregate_id: str) -> None:
        """See Snapshots."""


NO_SNAPSHOTS: Final = NoSnapshots()


# Without slots: with them, Python 3.11 cannot call `SnapshotForm[State](...)`.
@dataclass(frozen=True, kw_only=True)
class SnapshotForm(Generic[StateT]):
    """How a state becomes JSON and comes back.

    `schema_version` grows with every change of the state that would be read wrongly. `dump` gives a
    JSON object; orjson takes dataclasses as they are. `load` makes a state of the object.
    """

    schema_version: int
    dump: Callable[[StateT], Any]
    load: Callable[[Mapping[str, Any]], StateT]

    def taken(
        self, aggregate_type: str, aggregate_id: str, version: int, state: StateT
    ) -> Snapshot:
        """The snapshot of a state. Raises StateNotStorable."""
        try:
            encoded = orjson.dumps(self.dump(state))
        except (TypeError, ValueError) as error:
            raise StateNotStorable(f"a snapshot of {aggregate_type}: {error}") from error
        return Snapshot(aggregate_type, aggregate_id, self.schema_version, version, encoded)

    def state_of(self, snapshot: Snapshot) -> StateT:
        """The state of a snapshot of this form. Raises ValueError, LookupError or TypeError."""
        return self.load(orjson.loads(snapshot.state))
