"""Snapshots in process."""

from streams.event_store import LAST_VERSION
from streams.snapshot import Snapshot


class MemorySnapshots:
    """Implements Snapshots; nothing survives the process."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], dict[int, Snapshot]] = {}

    async def latest(
        self,
        aggregate_type: str,
        aggregate_id: str,
        schema_version: int,
        target_version: int = LAST_VERSION,
    ) -> Snapshot | None:
        """See Snapshots."""
        found = self._kept.get((aggregate_type, aggregate_id), {}).get(schema_version)
        return found if found is not None and found.version <= target_version else None

    async def save(self, snapshot: Snapshot) -> None:
        """See Snapshots."""
        place = (snapshot.aggregate_type, snapshot.aggregate_id)
        known = self._kept.get(place, {})
        mine = known.get(snapshot.schema_version)
        if mine is not None and mine.version >= snapshot.version:
            snapshot = mine
        kept = {number: one for number, one in known.items() if number > snapshot.schema_version}
        self._kept[place] = {**kept, snapshot.schema_version: snapshot}

    async def drop(self, aggregate_type: str, aggregate_id: str) -> None:
        """See Snapshots."""
        self._kept.pop((aggregate_type, aggregate_id), None)
