"""For buses that only publish: an event store that nobody asks."""

from __future__ import annotations

from typing import Any

from schemas.event import Event


class NothingStored:
    """Implements StoredEvents."""

    async def get_events(
        self,
        aggregate_type: str | None,
        aggregate_id: str,
        from_version: int | None = None,
        target_version: int | None = None,
    ) -> list[Event[Any]]:
        """See StoredEvents."""
        return []

    async def get_events_by_correlation(self, correlation_id: str) -> list[Event[Any]]:
        """See StoredEvents."""
        return []
