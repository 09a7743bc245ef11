"""From an event to its bytes and back: Confluent framing around one Avro record.

Encoding checks everything before the first byte; viewing reads the envelope alone, the data when it
is touched. What one schema needs is compiled once and kept.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final

from fastavro import parse_schema, schemaless_writer
from fastavro.schema import SchemaParseException

from schemas.catalog import Catalog, WriterSchema
from schemas.data_reader import (
    DAMAGED,
    ReadData,
    made_of,
    parsed_record,
)
from schemas.data_writer import WriteData, compile_typed_writer
from schemas.errors import EventTooLarge, InvalidWriterSchema, NotAnEvent, UnknownSchemaId
from schemas.event import DataReader, Event
from schemas.event_data import EventData
from schemas.events import DATA_TYPES
from schemas.expansion import refuse_expansion
from schemas.framing import HEADER_SIZE, frame_header, schema_id_of
from schemas.key_ring import KeyRing
from schemas.native_data import typed_reader, wire_reader
from schemas.native_view import event_view
from schemas.prefix_reader import EventView
from schemas.prefix_writer import write_envelope
from schemas.protection import PersonalFields, Protection
from schemas.recursion import refuse_recursion
from schemas.resolving_reader import compile_resolving_reader, differs_by_fields
from schemas.upcast import Upcasting
from schemas.validation import compile_check

LARGEST_EVENT: Final = 1_000_000
"""Bytes of an encoded event.

A broker takes 1,048,576: key, headers and a dead letter's reason fit beside it.
"""

DataTypes = Mapping[tuple[str, str], type[EventData]]
"""Classes of typed data by event type and schema version."""


class Codec:
    """Encodes and views events of a catalog, and views those of writers that it has learnt."""

    def __init__(
        self,
        catalog: Catalog,
        max_event_bytes: int = LARGEST_EVENT,
        *,
        data_types: DataTypes = DATA_TYPES,
        keys: KeyRing | None = None,
        upcasts: bool = False,
    ) -> None:
        """`keys`: what personal fields are sealed with, and opened; without, neither happens.

        `upcasts`: events of older majors are viewed as the newest one: version, data and payload;
        their bytes stay what they are. For code that works on events, not for what keeps them.
        """
        self._catalog = catalog
        self._max_event_bytes = max_event_bytes
        self._data_types = data_types
        self._schemas: dict[int, WriterSchema] = dict(catalog.schema_ids())
        self._writers: dict[tuple[str, str], _Writer] = {}
        self._views: dict[bytes, EventView] = {}
        self._keys = keys
        self._upcasting = Upcasting(catalog, data_types) if upcasts else None
        self._sealed_views: dict[bytes, EventView | None] = {}

    def encode(self, event: Event[Any]) -> bytes:
        """The bytes of an event, in the schema version that it names; of a viewed event, its own.

        Raises UnknownEventType, UnknownSchemaVersion, InvalidEventData with the path of the field,
        KeysMissing, SubjectForgotten, and EventTooLarge.
        """
        value = event.framed or self._encoded(event)
        if len(value) > self._max_event_bytes:
            raise EventTooLarge(len(value), self._max_event_bytes)
        return value

    def view(self, value: bytes) -> Event[Any]:
        """The event in these bytes. Raises NotAnEvent, UnknownSchemaId, TruncatedEvent.

        Damage in the data shows when the data is touched, as TruncatedEvent; what an upcast cannot
        read as UpcastFailed.
        """
        return self.view_of(value)(value)

    def view_of(self, value: bytes) -> EventView:
        """What views these bytes, and all others of the same schema: the same five bytes before.

        Raises NotAnEvent, UnknownSchemaId.
        """
        return self._views.get(value[:HEADER_SIZE]) or self._view_of(value)

    def as_stored(self, event: Event[Any], framed: bytes) -> Event[Any]:
        """The event with its personal fields as they are in its bytes: sealed, whoever looks.

        One without personal fields is given back. Raises NotAnEvent, UnknownSchemaId.
        """
        header = framed[:HEADER_SIZE]
        if header not in self._sealed_views:
            self._sealed_views[header] = self._sealed_view(framed)
        view = self._sealed_views[header]
        return event if view is None else view(framed)

    def learn(self, composed_json: str) -> WriterSchema:
        """Take in the schema of another writer; its id follows from its text.

        Raises InvalidWriterSchema.
        """
        schema = WriterSchema.from_json(composed_json)
        known = self._schemas.get(schema.id)
        if known is None:
            self._views[frame_header(schema.id)] = self._compiled(schema)
            self._schemas[schema.id] = schema
        elif known.composed_json != schema.composed_json:
            raise InvalidWriterSchema(f"id {schema.id} belongs to {known.type} {known.version}")
        return schema

    def can_view(self, value: bytes) -> bool:
        """Whether the schema of these bytes is known; True also where they are no event at all."""
        if value[:HEADER_SIZE] in self._views:
            return True
        try:
            return self.knows(schema_id_of(value))
        except NotAnEvent:
            return True

    def knows(self, schema_id: int) -> bool:
        """Whether events with this schema id can be viewed."""
        return schema_id in self._schemas

    def _encoded(self, event: Event[Any]) -> bytes:
        writer = self._writers.get((event.type, event.version)) or self._writer(event)
        data = event.data
        written = writer.write(data) if type(data) is writer.data_type else None
        if written is None:
            written = writer.checked(writer.seal(event.payload, event.id))
        return writer.header + write_envelope(event.envelope) + written

    def _writer(self, event: Event[Any]) -> "_Writer":
        schema = self._catalog.writer_schema(event.type, event.version)
        record = schema.data_record()
        data_type = self._data_types.get((schema.type, schema.version))
        fields = PersonalFields.of(schema)
        # Personal values are sealed in the wire mapping, so there is nothing to write at once.
        is_typed = data_type is not None and fields is None
        write = compile_typed_writer(record, data_type) if data_type and is_typed else None
        writer = _Writer(
            header=frame_header(schema.id),
            data_type=data_type if write else None,
            write=write or _unwritten,
            schema=parse_schema(record),
            check=compile_check(record),
            seal=Protection(fields, self._keys).sealed if fields else _as_it_is,
        )
        self._writers[schema.type, schema.version] = writer
        return writer

    def _view_of(self, value: bytes) -> EventView:
        schema = self._schema(schema_id_of(value))
        view = self._views[frame_header(schema.id)] = self._compiled(schema)
        return view

    def _schema(self, schema_id: int) -> WriterSchema:
        if schema_id not in self._schemas:
            raise UnknownSchemaId(schema_id)
        return self._schemas[schema_id]

    def _compiled(self, schema: WriterSchema) -> EventView:
        written = schema.data_record()
        try:
            refuse_recursion(written)
            refuse_expansion(parsed_record(written))
            payload, data = self._data_readers(schema, written)
            fields = PersonalFields.of(schema)
            if fields is not None:
                payload = _opening(payload, Protection(fields, self._keys))
                data_type = self._data_type(schema)
                data = made_of(payload, data_type) if data_type else payload
            return self._view_with(schema, _Reader(payload=payload, data=data))
        except (SchemaParseException, *DAMAGED) as error:
            raise InvalidWriterSchema(f"{schema.type} {schema.version}: {error!r}") from error

    def _view_with(self, schema: WriterSchema, reader: DataReader) -> EventView:
        """What views events of a schema, in the newest major where that is asked for."""
        path = self._upcasting.path(schema) if self._upcasting else None
        if path is None:
            return event_view(schema.record(), reader)
        return path.view(event_view(schema.record(), path.reader(reader)))

    def _sealed_view(self, framed: bytes) -> EventView | None:
        schema = self._schema(schema_id_of(framed))
        if PersonalFields.of(schema) is None:
            return None
        payload, _ = self._data_readers(schema, schema.data_record())
        return event_view(schema.record(), _Reader(payload=payload, data=payload))

    def _data_type(self, schema: WriterSchema) -> type[EventData] | None:
        """The class that data of this schema are read as."""
        version = self._catalog.reader_version(schema.type, schema.version)
        return None if version is None else self._data_types.get((schema.type, version))

    def _data_readers(
        self, schema: WriterSchema, written: Mapping[str, Any]
    ) -> tuple[ReadData, ReadData]:
        """What gives the payload, and what gives the data.

        Data of a version that differs by whole fields, or not at all, from what this process knows
        are read by generated code, others are resolved.
        """
        version = self._catalog.reader_version(schema.type, schema.version)
        if version is None:
            payload = wire_reader(written)
            return payload, payload
        data_type = self._data_types.get((schema.type, version))
        known = self._catalog.writer_schema(schema.type, version).data_record()
        if differs_by_fields(written, known):
            payload = wire_reader(written, known)
            return payload, typed_reader(written, data_type, known) if data_type else payload
        payload = compile_resolving_reader(written, known)
        return payload, made_of(payload, data_type) if data_type else payload


def _opening(read: ReadData, protection: Protection) -> ReadData:
    """The reader that opens the personal fields of the wire mapping that another one gives."""

    def read_opened(framed: bytes, offset: int) -> Mapping[str, Any]:
        return protection.opened(read(framed, offset))

    return read_opened


def _unwritten(_data: Any) -> None:
    """The writer of data without a class: the checks look at all of them."""


def _as_it_is(payload: Mapping[str, Any], _event_id: str) -> Mapping[str, Any]:
    """The seal of data without personal fields."""
    return payload


@dataclass(frozen=True, slots=True, kw_only=True)
class _Writer:
    """What encoding in one schema needs; data of exactly `data_type` have a writer of their own."""

    header: bytes
    data_type: type[EventData] | None
    write: WriteData
    schema: Any
    check: Callable[[Mapping[str, Any]], dict[str, Any]]
    seal: Callable[[Mapping[str, Any], str], Mapping[str, Any]]

    def checked(self, payload: Mapping[str, Any]) -> bytes:
        """The Avro bytes of a wire mapping. Raises InvalidEventData with the path of a misfit."""
        body = BytesIO()
        schemaless_writer(body, self.schema, self.check(payload))
        return body.getvalue()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reader:
    """See DataReader."""

    payload: ReadData
    data: ReadData
