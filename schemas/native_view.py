"""The view of an event by the reader in C, where it can; see `schemas.native`."""

from collections.abc import Mapping
from typing import Any, Final

from schemas import native
from schemas.avro_skip import NamedTypes, compile_skip, named_types
from schemas.envelope import (
    NO_EXTRA,
    NO_METADATA,
    Aggregate,
    Category,
    Metadata,
    Priority,
)
from schemas.event import UNREAD, DataReader, Event
from schemas.framing import HEADER_SIZE
from schemas.native import NotNative, Step
from schemas.prefix_reader import (
    EARLIEST_MS,
    LATEST_MS,
    EventView,
    compile_event_view,
    is_empty_as_zero,
)

Program = tuple[Any, ...]

_TEXT: Final = (Step.TEXT,)
_REPEATED: Final = (Step.REPEATED_TEXT,)
_LONG: Final = (Step.LONG,)
_CATEGORIES: Final = {category.value: category for category in Category}
_EXTRA: Final = (Step.ZEROS_AS, 1, NO_EXTRA, (Step.MAP, _TEXT))

_ENVELOPE: Final[Mapping[str, tuple[str, Any]]] = {
    "id": ("_id", _TEXT),
    "type": ("_type", _REPEATED),
    "category": ("_category", _CATEGORIES),
    "priority": ("_priority", Priority.__members__),
    "version": ("_version", _REPEATED),
    "timestamp": ("_timestamp_ms", (Step.LONG_WITHIN, EARLIEST_MS, LATEST_MS)),
    "source": ("_source", _REPEATED),
    "correlationId": ("_correlation_id", _REPEATED),
    "causationId": ("_causation_id", _REPEATED),
    "aggregate": ("_aggregate", Aggregate),
    "metadata": ("_metadata", Metadata),
}
"""Slots of an event and what is read into them: a program, the members of an enum, or a class."""

_RECORDS: Final[Mapping[type, Mapping[str, Program]]] = {
    Aggregate: {"type": _REPEATED, "id": _TEXT, "version": _LONG},
    Metadata: {"userId": _TEXT, "traceId": _TEXT, "retryCount": _LONG, "extra": _EXTRA},
}
"""The fields of the classes, in their order."""

_SHAPES: Final[Mapping[Step, frozenset[str]]] = {
    Step.TEXT: frozenset({"string"}),
    Step.REPEATED_TEXT: frozenset({"string"}),
    Step.LONG: frozenset({"int", "long"}),
    Step.LONG_WITHIN: frozenset({"long"}),
    Step.ZEROS_AS: frozenset({"map"}),
}
"""The types of a writer that a program reads."""


def event_view(composed: Mapping[str, Any], reader: DataReader) -> EventView:
    """See `compile_event_view`; what C does not read is left to that view."""
    view = compile_event_view(composed, reader)
    if not native.IN_USE:
        return view
    written = composed["fields"][:-1]
    names = named_types([field["type"] for field in written], str(composed.get("namespace", "")))
    try:
        fields = tuple(_field(field, names) for field in written)
    except NotNative:
        return view
    read: EventView = native.reading.Reader(
        Event,
        fields,
        _constants(composed, reader),
        view,
        _slot("_framed"),
        _slot("_offset"),
        HEADER_SIZE,
    ).read_event
    return read


def _slot(name: str) -> Any:
    return Event.__dict__[name]


def _constants(composed: Mapping[str, Any], reader: DataReader) -> tuple[tuple[Any, Any], ...]:
    """What every event of this schema holds."""
    written = {field["name"] for field in composed["fields"]}
    values: dict[str, Any] = {
        slot: None for name, (slot, _) in _ENVELOPE.items() if name not in written
    }
    values |= {"_reader": reader, "_payload": UNREAD, "_data": UNREAD, "_envelope": UNREAD}
    return tuple((_slot(name), value) for name, value in values.items())


def _field(field: Mapping[str, Any], names: NamedTypes) -> tuple[Any, Program]:
    """The slot of a field, None for one that is not known, and its program."""
    if field["name"] not in _ENVELOPE:
        return None, (Step.SKIPPED, compile_skip(field["type"], names))
    slot, known = _ENVELOPE[field["name"]]
    return _slot(slot), _value(field["type"], known, names)


def _value(kind: Any, known: Any, names: NamedTypes) -> Program:
    """The program of a known field, nullable or not."""
    if isinstance(kind, list):
        branches = ((Step.NULL,) if one == "null" else _value(one, known, names) for one in kind)
        return (Step.UNION, tuple(branches))
    kind = names.get(kind, kind) if isinstance(kind, str) else kind
    shape = kind["type"] if isinstance(kind, dict) else kind
    if isinstance(known, type) and shape == "record":
        return _record(kind["fields"], known, names)
    if isinstance(known, Mapping) and shape == "enum":
        return (Step.ENUM, tuple(known.get(symbol) for symbol in kind["symbols"]))
    if isinstance(known, tuple) and shape in _SHAPES[known[0]]:
        return known
    raise NotNative(f"{shape!r} in an envelope")


def _record(fields: Any, known: type, names: NamedTypes) -> Program:
    if len({one["name"] for one in fields}) != len(fields):
        raise NotNative("a field that is written twice")
    order = list(_RECORDS[known])
    places = tuple(order.index(one["name"]) if one["name"] in order else -1 for one in fields)
    programs = tuple(
        (Step.SKIPPED, compile_skip(one["type"], names))
        if place < 0
        else _value(one["type"], _RECORDS[known][one["name"]], names)
        for place, one in zip(places, fields, strict=True)
    )
    program = (Step.NAMED_TUPLE, known, places, programs)
    if known is Metadata and all(map(is_empty_as_zero, fields)):
        return (Step.ZEROS_AS, len(fields), NO_METADATA, program)
    return program
