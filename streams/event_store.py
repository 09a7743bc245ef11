"""The ports to the event store: Postgres in production, memory in process."""

from collections.abc import Sequence
from typing import Any, Protocol

from schemas.event import Event
from streams.expectation import Appended, ExpectedVersion


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


class EventAppender(Protocol):
    """Writes events of appended aggregate types; the store alone counts their versions."""

    async def append(
        self,
        events: Sequence[Event[Any]],
        expected: ExpectedVersion,
        *,
        command_id: str | None = None,
    ) -> Appended:
        """Append events of one aggregate, all or none; they are on their way to Kafka then.

        With a `command_id` a command that is tried again gets the result of its first success, and
        nothing is appended twice. Raises VersionConflict when the aggregate has another version,
        PublishRequired for a type that is published, InvalidEventData, UnknownEventType or
        EventTooLarge (nothing is appended), and InfrastructureError when the store is away: the
        outcome is unknown then, and the same command may be tried again.
        """
        ...
