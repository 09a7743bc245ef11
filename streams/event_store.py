"""The port to stored events: Postgres in production, memory in process."""

from typing import Any, Protocol

from schemas.event import Event


class StoredEvents(Protocol):
    """Reads what the event store holds."""

    async def get_events(
        self,
        aggregate_id: str,
        from_version: int | None = None,
        *,
        aggregate_type: str | None = None,
    ) -> list[Event[Any]]:
        """The history of an aggregate in order.

        From a version on where the aggregate has versions.
        """
        ...

    async def get_events_by_correlation(self, correlation_id: str) -> list[Event[Any]]:
        """All events of one request or session, in order of time."""
        ...
