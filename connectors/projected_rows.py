"""Which rows events would change, found out without writing one."""

from collections.abc import Mapping, Sequence
from typing import Any

from connectors.projection_store import ProjectionStore
from schemas.event import Event
from streams.folding import Delivery, Row, StoredEvent, fold_rows, keyed
from streams.projection import Projection

NOWHERE = -1
"""Stands for the partition of events that are not stored."""


class ChangedRows:
    """Folds events into copies of live rows, and counts those that end up different."""

    def __init__(self, app: str, projections: Sequence[Projection], store: ProjectionStore) -> None:
        self._app = app
        self._projections = projections
        self._store = store
        self._before: dict[str, dict[str, Row | None]] = {it.name: {} for it in projections}
        self._after: dict[str, dict[str, Row]] = {it.name: {} for it in projections}
        self._offset = 0

    async def add(self, events: Sequence[Event[Any]]) -> None:
        """Fold further events. Raises DatabaseUnavailable."""
        for projection in self._projections:
            wanted = [event for event in events if projection.wants(event.type)]
            if wanted:
                await self._fold(projection, wanted)

    def counts(self) -> Mapping[str, int]:
        """How many rows are new or have another state, by projection."""
        return {
            name: sum(not _is_same(self._before[name].get(key), row) for key, row in rows.items())
            for name, rows in self._after.items()
            if rows
        }

    async def _fold(self, projection: Projection, events: Sequence[Event[Any]]) -> None:
        placed = [
            StoredEvent(NOWHERE, self._offset + number, event)
            for number, event in enumerate(events)
        ]
        self._offset += len(placed)
        batch = keyed(projection, placed)
        before, after = self._before[projection.name], self._after[projection.name]
        for key in batch.distinct_keys():
            if key not in before:
                live = await self._store.live_row(self._app, projection.name, key)
                before[key] = None if live is None else live.row
                if live is not None:
                    after[key] = live.row
        deliveries: Sequence[Delivery] = batch.deliveries
        for row in fold_rows(projection, after, deliveries).rows:
            after[row.key] = row


def _is_same(before: Row | None, after: Row) -> bool:
    return before is not None and before.decoded() == after.decoded()
