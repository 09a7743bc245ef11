"""From a raw record to an event, or to the reason why it is none."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any, Final, NamedTuple

from schemas.codec import Codec
from schemas.errors import SchemaError, UnknownSchemaId
from schemas.event import Event
from schemas.framing import HEADER_SIZE
from schemas.headers import CE_TYPE
from schemas.prefix_reader import EventView
from streams.records import RawRecord, first_header
from streams.viewing import are_known, view_known
from streams.writer_schemas import WriterSchemas

KNOWN_TYPES: Final = 1_024
"""For how many types it is remembered whether they are wanted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A wanted record that is not an event of ours, or whose schema cannot be found."""

    error: SchemaError


class Unread(Enum):
    """What must be looked at closer."""

    UNREAD = "unread"


UNREAD: Final = Unread.UNREAD


class Viewed(NamedTuple):
    """What was found in records; `only_type` where each has an event of that type."""

    events: Sequence[Event[Any] | Unread | None]
    only_type: str | None = None


class EventReading:
    """Decodes only what somebody wants: the type header decides before the bytes are touched."""

    def __init__(self, codec: Codec, schemas: WriterSchemas, wants: Callable[[str], bool]) -> None:
        self._codec = codec
        self._schemas = schemas
        self._is_wanted = lru_cache(KNOWN_TYPES)(wants)
        self._is_wanted_header = lru_cache(KNOWN_TYPES)(
            lambda header: wants(header.decode(errors="replace"))
        )
        self._views: dict[bytes, EventView] = {}

    def view(self, record: RawRecord) -> Event[Any] | None:
        """The event; None when nobody wants it.

        Raises NotAnEvent, TruncatedEvent, and UnknownSchemaId, whose schema `read` looks up.
        """
        value = record.value
        if value is None:
            return None
        view = self._views.get(value[:HEADER_SIZE])
        if view is not None:
            event = view(value)
            return event if self._is_wanted(event.type) else None
        return self._view_first(record, value)

    def as_stored(self, event: Event[Any], framed: bytes) -> Event[Any]:
        """The event with its personal fields sealed, as they are in its bytes."""
        return self._codec.as_stored(event, framed)

    def view_all(self, records: Sequence[RawRecord]) -> list[Event[Any]] | None:
        """The events, when all are wanted and none of them must be looked at closer; else None."""
        try:
            events = view_known(self._views, records)
        except SchemaError:
            return None
        if events is None:
            return None
        return events if all(map(self._is_wanted, {event.type for event in events})) else None

    def view_again(self, records: Sequence[RawRecord]) -> list[Event[Any]]:
        """The events of records that were read before."""
        return [self._codec.view(record.value or b"") for record in records]

    def view_each(self, records: Sequence[RawRecord]) -> Viewed:
        """The events; None where nobody wants one, UNREAD where it needs `read`."""
        view_of = self._views.get
        try:
            events: list[Event[Any] | None] = [
                view(value)
                if value is not None and (view := view_of(value[:HEADER_SIZE]))
                else None
                for value in [record.value for record in records]
            ]
        except SchemaError:
            return Viewed([self._tried(record) for record in records])
        types = {None if event is None else event.type for event in events}
        if None not in types and all(map(self._is_wanted, types)):
            return Viewed(events, only_type=types.pop() if len(types) == 1 else None)
        return Viewed(
            [
                event if event is not None and self._is_wanted(event.type) else self._tried(record)
                for record, event in zip(records, events, strict=True)
            ]
        )

    def _tried(self, record: RawRecord) -> Event[Any] | Unread | None:
        try:
            return self.view(record)
        except SchemaError:
            return UNREAD

    def _view_first(self, record: RawRecord, value: bytes) -> Event[Any] | None:
        """The header decides, until it is known that events of this schema are wanted."""
        if self._is_unwanted(record):
            return None
        event = self._codec.view(value)
        if not self._is_wanted(event.type):
            return None
        self._views[value[:HEADER_SIZE]] = self._codec.view_of(value)
        return event

    def unknown(self, records: Sequence[RawRecord]) -> list[RawRecord]:
        """Records with a schema that is not known yet: `read` may take its time with them."""
        known = self._views
        if are_known(known, records):
            return []
        return [
            record
            for record in records
            if (value := record.value) is not None
            and value[:HEADER_SIZE] not in known
            and not self._codec.can_view(value)
        ]

    async def read(self, record: RawRecord) -> Event[Any] | Unreadable | None:
        """The event; None when nobody wants it. Errors of the infrastructure are raised."""
        if record.value is None or self._is_unwanted(record):
            return None
        try:
            event = await view_resolved(self._codec, self._schemas, record.value)
        except SchemaError as error:
            if error.retryable:
                raise
            return Unreadable(error=error)
        return event if self._is_wanted(event.type) else None

    def _is_unwanted(self, record: RawRecord) -> bool:
        header = first_header(record.headers, CE_TYPE)
        return header is not None and not self._is_wanted_header(header)


async def view_resolved(codec: Codec, schemas: WriterSchemas, value: bytes) -> Event[Any]:
    """View bytes whose writer schema may still have to be looked up.

    Raises NotAnEvent, TruncatedEvent, UnknownSchemaId, or BrokerUnavailable from the look-up.
    """
    try:
        return codec.view(value)
    except UnknownSchemaId as unknown:
        await schemas.resolve(unknown.schema_id)
    return codec.view(value)
