"""What an append is before any store is asked: events of one appended aggregate, checked. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Self

from schemas.catalog import Catalog, EventType
from schemas.envelope import Aggregate, Metadata
from schemas.errors import InvalidEventData
from schemas.event import Event
from streams.errors import PublishRequired

COMMAND_ID: Final = "wundrCommandId"
"""Key in an event's metadata, reserved: the command that brought an appended event about."""

LONGEST_COMMAND_ID_BYTES: Final = 500
"""With an aggregate's type and id it must fit in one entry of a Postgres index."""


def command_id_of(event: Event[Any]) -> str | None:
    """The command that brought this event about; None for one that was not appended by a command.

    A handler hands its cause's metadata on, so the key says nothing about events without a version.
    """
    aggregate = event.aggregate
    if aggregate is None or aggregate.version is None:
        return None
    return event.metadata.extra.get(COMMAND_ID)


@dataclass(frozen=True, slots=True, kw_only=True)
class Append:
    """Events of one aggregate that want to be its next versions. Build it with `of`."""

    events: tuple[Event[Any], ...]
    aggregate_type: str
    aggregate_id: str
    command_id: str | None

    @classmethod
    def of(cls, catalog: Catalog, events: Sequence[Event[Any]], command_id: str | None) -> Self:
        """Check what can be checked without a store.

        Raises UnknownEventType, PublishRequired or InvalidEventData.
        """
        if not events:
            raise InvalidEventData("events", "there is nothing to append")
        known = [_appended(catalog, event) for event in events]
        first = events[0].aggregate
        ids = set()
        for at, (event, event_type) in enumerate(zip(events, known, strict=True)):
            _check(at, event, event_type, first)
            ids.add(event.id)
        if len(ids) < len(events):
            raise InvalidEventData("events", "two of them have the same id")
        if command_id is not None:
            _check_command_id(command_id)
        assert first is not None  # _check has seen to it
        return cls(
            events=tuple(events),
            aggregate_type=first.type,
            aggregate_id=first.id,
            command_id=command_id,
        )

    @property
    def key(self) -> str:
        """The key of the records: what has one key stays in order."""
        return self.events[0].key

    @property
    def topic(self) -> str:
        """The topic of all of them: an appended aggregate has one."""
        return self.events[0].topic

    def behind(self, version: int) -> tuple[Event[Any], ...]:
        """The events as the versions that follow `version`, with the command that they are of.

        Versions and command ids that callers have set are replaced: the store alone assigns them.
        """
        return tuple(
            self._as_version(event, number)
            for number, event in enumerate(self.events, start=version + 1)
        )

    def _as_version(self, event: Event[Any], version: int) -> Event[Any]:
        envelope = event.envelope._replace(
            aggregate=Aggregate(self.aggregate_type, self.aggregate_id, version),
            metadata=_of_command(event.metadata, self.command_id),
        )
        return Event(envelope, event.data)


def _of_command(metadata: Metadata, command_id: str | None) -> Metadata:
    if command_id is None and COMMAND_ID not in metadata.extra:
        return metadata
    extra = {name: value for name, value in metadata.extra.items() if name != COMMAND_ID}
    if command_id is not None:
        extra[COMMAND_ID] = command_id
    return metadata._replace(extra=MappingProxyType(extra))


def _appended(catalog: Catalog, event: Event[Any]) -> EventType:
    known = catalog.get(event.type)
    if not known.appended:
        raise PublishRequired(event.type)
    return known


def _check(at: int, event: Event[Any], known: EventType, first: Aggregate | None) -> None:
    aggregate = event.aggregate
    path = f"events[{at}]."
    if aggregate is None or aggregate.type != known.aggregate_type or not aggregate.id:
        raise InvalidEventData(path + "aggregate", f"is not a {known.aggregate_type} with an id")
    if first is None or aggregate[:2] != first[:2]:
        raise InvalidEventData(path + "aggregate", "is not that of the first event")
    if event.category is not known.category or event.priority is not known.priority:
        raise InvalidEventData(
            path + "priority", f"sends it to {event.topic}, {known.name} goes to {known.topic}"
        )


def _check_command_id(command_id: str) -> None:
    try:
        size = len(command_id.encode())
    except UnicodeEncodeError as error:
        raise InvalidEventData("command_id", f"is no text that UTF-8 can hold ({error})") from None
    if not size or "\x00" in command_id:
        raise InvalidEventData("command_id", "is empty or holds a NUL character")
    if size > LONGEST_COMMAND_ID_BYTES:
        raise InvalidEventData(
            "command_id", f"has {size} bytes, {LONGEST_COMMAND_ID_BYTES} are taken"
        )
