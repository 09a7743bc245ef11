"""The ports to the event store: Postgres in production, memory in process."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

from schemas.event import Event
from schemas.pattern import EVERY_TYPE, matches, validate_pattern
from streams.expectation import Appended, ExpectedVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which stored events are asked for: by type or pattern, from a time on, before a time."""

    pattern: str = EVERY_TYPE
    since: datetime | None = None
    until: datetime | None = None

    def __post_init__(self) -> None:
        """Raise InvalidPattern."""
        validate_pattern(self.pattern)

    def holds(self, event: Event[Any]) -> bool:
        """Whether an event is asked for."""
        return (
            matches(self.pattern, event.type)
            and (self.since is None or event.timestamp >= self.since)
            and (self.until is None or event.timestamp < self.until)
        )


EVERYTHING: Final = Selection()

LAST_VERSION: Final = (1 << 63) - 1
"""No aggregate gets there: a version is a 64-bit number."""


class StoredEvents(Protocol):
    """Reads what the event store holds."""

    async def get_events(
        self,
        aggregate_type: str | None,
        aggregate_id: str,
        from_version: int | None = None,
        target_version: int | None = None,
    ) -> list[Event[Any]]:
        """The history of an aggregate in order; None asks for aggregates of whatever type.

        From a version on and up to a version, both included, where the aggregate has versions:
        events without one are always among them. The bus has the ADR's other form,
        `get_events(aggregate_id, from_version)`.
        """
        ...

    async def get_events_by_correlation(self, correlation_id: str) -> list[Event[Any]]:
        """All events of one request or session, in order of time."""
        ...


class EventQueries(StoredEvents, Protocol):
    """Everything that can be asked of the event store.

    Iterators read page by page and hold nothing in between: what is stored behind their place while
    they are read is not seen. Readers that must miss nothing follow positions, see
    `connectors.catch_up`.
    """

    def history(
        self,
        aggregate_type: str,
        aggregate_id: str,
        from_version: int = 1,
        target_version: int | None = None,
    ) -> AsyncIterator[Event[Any]]:
        """The versions of an appended aggregate in order, both bounds included."""
        ...

    def stream(self, selection: Selection = EVERYTHING) -> AsyncIterator[Event[Any]]:
        """The selected events in order of time, however many there are."""
        ...

    async def get_events_by_causation(self, event_id: str) -> list[Event[Any]]:
        """What led to an event, the event itself, and everything that it brought about.

        A cause comes before what it caused: first the causes above, from the first one down, then
        the event, then what was caused below, level by level and in order of time.
        """
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


class CommandResults(Protocol):
    """Remembers which commands were carried out."""

    async def result_of(
        self, aggregate_type: str, aggregate_id: str, command_id: str
    ) -> Appended | None:
        """What a command has brought about, as a repeat; None when it was not carried out."""
        ...


class CommandAppender(EventAppender, CommandResults, Protocol):
    """Appends, and knows afterwards what a command has brought about."""
