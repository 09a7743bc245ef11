"""The event: a light view. The envelope is there at once, `data` is decoded when touched.

Immutable. A viewed event keeps the bytes that it was read from; a new one has none until it is
encoded.
"""

import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from types import MappingProxyType
from typing import Any, Final, Generic, Protocol, TypedDict, TypeVar, Unpack

from schemas import native
from schemas.catalog import Catalog, EventType
from schemas.envelope import NO_METADATA, Aggregate, Category, Envelope, Metadata, Priority
from schemas.errors import InvalidEventData
from schemas.event_data import EventData
from schemas.events import DATA_TYPES
from schemas.identity import RANDOM_BYTES, uuid7
from schemas.topics import events_topic
from schemas.validation import compile_check

__all__ = ["DataReader", "Event", "EventData", "EventDetails", "EventFactory", "Metadata"]

D_co = TypeVar("D_co", covariant=True)
DataT = TypeVar("DataT", bound=EventData)

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND: Final = timedelta(milliseconds=1)

UNREAD: Final[Any] = object()
"""Stands for what an event has not decoded yet."""

ENVELOPE_SLOTS: Final = tuple(f"_{name}" for name in Envelope._fields)
"""Where an event keeps the fields of its envelope."""

_ENVELOPE_OF: Final = attrgetter(*ENVELOPE_SLOTS)


class DataReader(Protocol):
    """Decodes the data of events that were written with one schema."""

    def payload(self, framed: bytes, offset: int) -> Mapping[str, Any]:
        """The wire mapping of the data that begins at `offset`. Raises TruncatedEvent."""
        ...

    def data(self, framed: bytes, offset: int) -> Any:
        """The typed data, or the wire mapping when the type has no class.

        Raises TruncatedEvent.
        """
        ...


class Event(Generic[D_co]):
    """Something that happened.

    `data` is typed by its generated class, `payload` is the wire mapping.
    """

    __slots__ = (*ENVELOPE_SLOTS, "_data", "_envelope", "_framed", "_offset", "_payload", "_reader")

    _id: str
    _type: str
    _category: Category
    _priority: Priority
    _version: str
    _timestamp_ms: int
    _source: str
    _correlation_id: str | None
    _causation_id: str | None
    _aggregate: Aggregate | None
    _metadata: Metadata
    _data: D_co
    _envelope: Envelope
    _payload: Mapping[str, Any]
    _framed: bytes | None
    _offset: int
    _reader: DataReader

    def __init__(self, envelope: Envelope, data: D_co) -> None:
        """A new event; one that was read comes from `Codec.view`, which fills it without this."""
        (
            self._id,
            self._type,
            self._category,
            self._priority,
            self._version,
            self._timestamp_ms,
            self._source,
            self._correlation_id,
            self._causation_id,
            self._aggregate,
            self._metadata,
        ) = self._envelope = envelope
        self._data = data
        self._payload = UNREAD
        self._framed = None

    @property
    def envelope(self) -> Envelope:
        """Everything but the data."""
        if self._envelope is UNREAD:
            self._envelope = tuple.__new__(Envelope, _ENVELOPE_OF(self))
        return self._envelope

    @property
    def id(self) -> str:
        """Unique; readers drop repeats by it."""
        return self._id

    @property
    def type(self) -> str:
        """Dot notation, past tense, such as `analysis.started`."""
        return self._type

    @property
    def category(self) -> Category:
        """Which part of the world it is about."""
        return self._category

    @property
    def priority(self) -> Priority:
        """How soon it is worked on."""
        return self._priority

    @property
    def version(self) -> str:
        """The schema version that it was written with."""
        return self._version

    @property
    def timestamp_ms(self) -> int:
        """When it happened, milliseconds since 1970, UTC."""
        return self._timestamp_ms

    @property
    def timestamp(self) -> datetime:
        """When it happened, aware, UTC."""
        return EPOCH + self._timestamp_ms * MILLISECOND

    @property
    def source(self) -> str:
        """Who published it."""
        return self._source

    @property
    def correlation_id(self) -> str | None:
        """The request or run that it belongs to."""
        return self._correlation_id

    @property
    def causation_id(self) -> str | None:
        """The id of the event that caused it."""
        return self._causation_id

    @property
    def aggregate(self) -> Aggregate | None:
        """The thing that it is about."""
        return self._aggregate

    @property
    def metadata(self) -> Metadata:
        """What travels with it."""
        return self._metadata

    @property
    def framed(self) -> bytes | None:
        """The bytes that it was read from; None for a new event."""
        return self._framed

    @property
    def key(self) -> str:
        """The key of its record: what has one key stays in order."""
        aggregate = self._aggregate
        return f"{aggregate.type}/{aggregate.id}" if aggregate else self._id

    @property
    def topic(self) -> str:
        """The topic that it is published to."""
        return events_topic(self._category, self._priority)

    @property
    def payload(self) -> Mapping[str, Any]:
        """The data as on the wire, camel case; not to be changed.

        Raises TruncatedEvent when the bytes do not hold it.
        """
        if self._payload is UNREAD:
            self._payload = self._read_payload()
        return self._payload

    @property
    def data(self) -> D_co:
        """The data. Raises TruncatedEvent when the bytes do not hold it."""
        if self._data is UNREAD and self._framed is not None:
            self._data = self._reader.data(self._framed, self._offset)
        return self._data

    def _read_payload(self) -> Mapping[str, Any]:
        if self._framed is not None:
            return self._reader.payload(self._framed, self._offset)
        data: Any = self._data
        return data.to_wire() if isinstance(data, EventData) else MappingProxyType(data)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Event):
            return NotImplemented
        return self.envelope == other.envelope and self.payload == other.payload

    def __hash__(self) -> int:
        return hash(self._id)

    def __repr__(self) -> str:
        return f"Event({self.type} {self.version}, id={self.id})"


_READ_OFTEN: Final = ("id", "type", "timestamp_ms", "aggregate", "category", "priority")
_READ_ON_A_TOUCH: Final = "data"


def _read_without_a_call() -> None:
    """Properties that only give a slot are read as slots are, in a third of the time.

    So are data that were read before.
    """
    for name in _READ_OFTEN:
        slot, doc = Event.__dict__[f"_{name}"], Event.__dict__[name].__doc__
        setattr(Event, name, native.reading.read_only(Event, slot, name, doc))
    slots = [Event.__dict__[name] for name in ("_data", "_framed", "_offset", "_reader")]
    doc = Event.__dict__[_READ_ON_A_TOUCH].__doc__
    touched = native.reading.Touched(Event, *slots, UNREAD, _READ_ON_A_TOUCH, doc)
    setattr(Event, _READ_ON_A_TOUCH, touched)


if native.IN_USE:
    _read_without_a_call()


class EventDetails(TypedDict, total=False):
    """What may be said of a new event beside its data; what is left out is filled in."""

    aggregate_id: str | None
    correlation_id: str | None
    causation_id: str | None
    metadata: Metadata
    id: str | None
    timestamp: datetime | None


def system_clock() -> datetime:
    """Now, UTC."""
    return datetime.now(UTC)


def random_id(timestamp: datetime) -> str:
    """A UUIDv7 of this time with bits from the system's random source."""
    return uuid7(milliseconds(timestamp), secrets.token_bytes(RANDOM_BYTES))


def milliseconds(timestamp: datetime) -> int:
    """Whole milliseconds since 1970; less is cut off. Raises InvalidEventData."""
    if timestamp.tzinfo is None:
        raise InvalidEventData("timestamp", "has no time zone")
    if timestamp < EPOCH:
        raise InvalidEventData("timestamp", "lies before 1970")
    return (timestamp - EPOCH) // MILLISECOND


class EventFactory:
    """Makes events of a catalog's types.

    `clock` and `ids` are where time and randomness come in.
    """

    def __init__(
        self,
        catalog: Catalog,
        source: str,
        clock: Callable[[], datetime] = system_clock,
        ids: Callable[[datetime], str] = random_id,
    ) -> None:
        self._catalog = catalog
        self._source = source
        self._clock = clock
        self._ids = ids

    def create(self, data: DataT, **details: Unpack[EventDetails]) -> Event[DataT]:
        """A new event with this data, in the schema version of its class.

        The correlation id defaults to the event's own. Raises UnknownEventType, or InvalidEventData
        when the aggregate's id is missing, or given for a type that has no aggregate.
        """
        known = self._catalog.get(data.event_type)
        aggregate = _aggregate(known, data.to_wire, details.get("aggregate_id"))
        return Event(self._envelope(known, data.schema_version, aggregate, details), data)

    def create_from_mapping(
        self,
        type: str,  # noqa: A002  # the word of the envelope
        data: Mapping[str, Any],
        *,
        version: str | None = None,
        **details: Unpack[EventDetails],
    ) -> Event[Any]:
        """A new event with data as on the wire, in the latest version unless another is named.

        Raises what `create` raises, UnknownSchemaVersion, and InvalidEventData naming the path of a
        wrong field.
        """
        known = self._catalog.get(type)
        version = version or known.latest
        schema = self._catalog.writer_schema(type, version).data_record()
        payload = compile_check(schema)(data)
        aggregate = _aggregate(known, lambda: payload, details.get("aggregate_id"))
        data_type = DATA_TYPES.get((type, version))
        typed = payload if data_type is None else data_type.from_wire(payload)
        return Event(self._envelope(known, version, aggregate, details), typed)

    def _envelope(
        self, known: EventType, version: str, aggregate: Aggregate | None, details: EventDetails
    ) -> Envelope:
        timestamp = details.get("timestamp") or self._clock()
        event_id = details.get("id") or self._ids(timestamp)
        return Envelope(
            id=event_id,
            type=known.name,
            category=known.category,
            priority=known.priority,
            version=version,
            timestamp_ms=milliseconds(timestamp),
            source=self._source,
            correlation_id=details.get("correlation_id") or event_id,
            causation_id=details.get("causation_id"),
            aggregate=aggregate,
            metadata=details.get("metadata", NO_METADATA),
        )


def _aggregate(
    known: EventType, payload: Callable[[], Mapping[str, Any]], aggregate_id: str | None
) -> Aggregate | None:
    """The aggregate of a new event: by the id given, else by the type's key field."""
    if known.aggregate_type is None:
        if aggregate_id is not None:
            raise InvalidEventData("aggregate.id", f"{known.name} has no aggregate")
        return None
    if aggregate_id is None and known.key is not None:
        aggregate_id = payload().get(known.key)
    if not aggregate_id:
        raise InvalidEventData(
            "aggregate.id", f"{known.name} needs the id of its {known.aggregate_type}"
        )
    return Aggregate(known.aggregate_type, aggregate_id)
