"""From a raw record to an event, or to the reason why it is none."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from schemas.codec import Codec
from schemas.errors import SchemaError, UnknownSchemaId
from schemas.event import Event
from schemas.headers import CE_TYPE
from streams.records import RawRecord
from streams.writer_schemas import WriterSchemas


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A wanted record that is not an event of ours, or whose schema cannot be found."""

    error: SchemaError


class EventReading:
    """Decodes only what somebody wants: the type header decides before the bytes are touched."""

    def __init__(self, codec: Codec, schemas: WriterSchemas, wants: Callable[[str], bool]) -> None:
        self._codec = codec
        self._schemas = schemas
        self._wants = wants

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
        return event if self._wants(event.type) else None

    def _is_unwanted(self, record: RawRecord) -> bool:
        event_type = record.header(CE_TYPE)
        return event_type is not None and not self._wants(event_type.decode(errors="replace"))


async def view_resolved(codec: Codec, schemas: WriterSchemas, value: bytes) -> Event[Any]:
    """View bytes whose writer schema may still have to be looked up.

    Raises NotAnEvent, TruncatedEvent, UnknownSchemaId, or BrokerUnavailable from the look-up.
    """
    try:
        return codec.view(value)
    except UnknownSchemaId as unknown:
        await schemas.resolve(unknown.schema_id)
    return codec.view(value)
