"""A saga for tests of what is said about sagas: it takes events and decides nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from schemas.event import Event, EventData
from streams.sagas.saga import Reaction, Saga


class SilentSaga(Saga[dict[str, Any]]):
    """Started by one type."""

    def __init__(self, name: str, started_by: type[EventData]) -> None:
        self.name = name  # type: ignore[misc]  # another one for each test
        self.started_by = (started_by,)  # type: ignore[misc]  # as above

    def correlate(self, event: Event[Any]) -> str:
        """See Saga."""
        return event.key

    def initial(self) -> dict[str, Any]:
        """See Saga."""
        return {}

    def evolve(self, state: dict[str, Any], event: Event[Any]) -> dict[str, Any]:
        """See Saga."""
        return state

    def decide(self, state: dict[str, Any], event: Event[Any]) -> Sequence[Reaction]:
        """See Saga."""
        return ()
