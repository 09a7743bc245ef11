"""Other data for a failed event: checked against its schema before anything is ordered.

Id and envelope stay, and so does the aggregate; the bytes are in the newest version of the type.
Personal fields are sealed as in any other event.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from schemas.catalog import Catalog, EventType, WriterSchema
from schemas.codec import Codec
from schemas.errors import EventTooLarge, InvalidEventData, SchemaError
from schemas.event import Event
from schemas.json_data import from_json
from schemas.topics import LARGEST_RECORD
from schemas.validation import compile_check
from streams.parking.errors import LetterWithoutEvent
from streams.parking.letter import Letter
from streams.parking.orders import Order, OrderKind
from streams.reading import view_resolved
from streams.writer_schemas import WriterSchemas


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """A failed event, its bytes as they are, as they are to be, and the schema of those."""

    letter: Letter
    event: Event[Any]
    value: bytes
    schema: WriterSchema

    @property
    def order(self) -> Order:
        """The order to try the letter with the new bytes."""
        letter = self.letter
        return Order(app=letter.app, letter_id=letter.id, kind=OrderKind.EDIT, value=self.value)

    @property
    def before(self) -> str:
        """SHA-256 of the bytes as they failed."""
        return sha256(self.letter.record.value or b"").hexdigest()

    @property
    def after(self) -> str:
        """SHA-256 of the new bytes."""
        return sha256(self.value).hexdigest()


class LetterEditor:
    """Makes edits of letters that are whole."""

    def __init__(self, catalog: Catalog, codec: Codec, schemas: WriterSchemas) -> None:
        self._catalog = catalog
        self._codec = codec
        self._schemas = schemas

    async def edit(self, letter: Letter, data: Mapping[str, Any]) -> Edit:
        """The edit that gives a letter's event these data, as JSON has them.

        Raises LetterWithoutEvent, UnknownEventType, InvalidEventData with the path of a field that
        does not fit, EventTooLarge, and for personal data KeysMissing or SubjectForgotten.
        """
        event = await self._event(letter)
        known = self._catalog.get(event.type)
        schema = self._catalog.writer_schema(known.name, known.latest)
        record = schema.data_record()
        payload = compile_check(record)(from_json(record, data))
        _check_aggregate(event, known, payload)
        edited: Event[Any] = Event(event.envelope._replace(version=known.latest), payload)
        edit = Edit(letter=letter, event=event, value=self._codec.encode(edited), schema=schema)
        size = len(edit.order.encode().value or b"")
        if size > LARGEST_RECORD:
            raise EventTooLarge(size, LARGEST_RECORD)
        return edit

    async def _event(self, letter: Letter) -> Event[Any]:
        """The event as far as its envelope: damaged data are there to be replaced."""
        try:
            return await view_resolved(self._codec, self._schemas, letter.record.value or b"")
        except SchemaError as error:
            raise LetterWithoutEvent(letter, error.message) from error


def _check_aggregate(event: Event[Any], known: EventType, payload: Mapping[str, Any]) -> None:
    """Data that name another aggregate belong to another event. Raises InvalidEventData."""
    aggregate = event.aggregate
    if aggregate is None or known.key is None or known.key not in payload:
        return
    if payload[known.key] != aggregate.id:
        raise InvalidEventData(
            f"data.{known.key}", f"names another {aggregate.type} than the event is about"
        )
