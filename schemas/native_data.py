"""The data of an event by the reader in C, where it can; see `schemas.native`."""

import sys
from collections.abc import Mapping
from typing import Any, Final

from fastavro.read import LOGICAL_READERS

from schemas import native
from schemas.class_source import Expression
from schemas.data_reader import (
    ReadData,
    compile_typed_reader,
    compile_wire_reader,
    conversions_to,
    parsed_record,
)
from schemas.event_data import EventData
from schemas.native import NotNative, Step

Program = tuple[Any, ...]

_DEEPEST: Final = 32
"""Types in types; a conversion is a step of its own."""
_MOST_STEPS: Final = 2_000
_LARGEST_FIXED: Final = 1 << 30

_PRIMITIVES: Final[Mapping[str, Step]] = {
    "null": Step.NULL,
    "boolean": Step.BOOLEAN,
    "int": Step.INT,
    "long": Step.LONG,
    "float": Step.FLOAT,
    "double": Step.DOUBLE,
    "bytes": Step.BYTES,
    "string": Step.REPEATED_TEXT,
}


def wire_reader(record: Mapping[str, Any], known: Mapping[str, Any] | None = None) -> ReadData:
    """See `compile_wire_reader`; what C does not read is left to that reader."""
    read = compile_wire_reader(record, known)
    if not native.IN_USE or known not in (None, record):
        return read
    parsed = parsed_record(record)
    try:
        program = _Programs(parsed["__named_schemas"]).of(parsed)
    except NotNative:
        return read
    made: ReadData = native.reading.Reader(None, ((None, program),), (), read).read_data
    return made


def typed_reader(
    record: Mapping[str, Any],
    data_type: type[EventData],
    known: Mapping[str, Any] | None = None,
) -> ReadData:
    """See `compile_typed_reader`; what C does not read is left to that reader."""
    read = compile_typed_reader(record, data_type, known)
    conversions = conversions_to(data_type, known or record)
    if not native.IN_USE or conversions is None:
        return read
    try:
        fields = _fields(record, data_type, conversions)
        constants = _constants(record, data_type, known or record, conversions)
    except NotNative:
        return read
    made: ReadData = native.reading.Reader(data_type, fields, constants, read).read_data
    return made


def _slot(data_type: type[EventData], attribute: str) -> Any:
    """The descriptor of a slot, which the class or the one that it was made from has."""
    return data_type.__dict__[attribute]


def _fields(
    record: Mapping[str, Any],
    data_type: type[EventData],
    conversions: Mapping[str, tuple[str, Expression]],
) -> tuple[tuple[Any, Program], ...]:
    """The slot of each field that was written, None for one that is not known, and its program."""
    parsed = parsed_record(record)
    programs = _Programs(parsed["__named_schemas"])
    fields = []
    for field in parsed["fields"]:
        slot, program = None, programs.of(field["type"])
        if field["name"] in conversions:
            attribute, convert = conversions[field["name"]]
            slot = _slot(data_type, attribute)
            program = _converted(program, convert, data_type)
        fields.append((slot, program))
    return tuple(fields)


def _constants(
    record: Mapping[str, Any],
    data_type: type[EventData],
    known: Mapping[str, Any],
    conversions: Mapping[str, tuple[str, Expression]],
) -> tuple[tuple[Any, Any], ...]:
    """The defaults of fields that were not written."""
    written = {field["name"] for field in record["fields"]}
    constants = []
    for field in known["fields"]:
        if field["name"] not in written:
            attribute, convert = conversions[field["name"]]
            if convert("value") != "value":
                raise NotNative("a default of which something is made")
            constants.append((_slot(data_type, attribute), field["default"]))
    return tuple(constants)


def _converted(program: Program, convert: Expression, data_type: type[EventData]) -> Program:
    """What becomes of a value in the class: by the expression that the generated class has."""
    expression = convert("value")
    if expression in {"value", "dict(value)"}:  # a map was made for this event alone
        return program
    if expression == "tuple(value)":
        return (Step.CONVERTED, tuple, program)
    scope = vars(sys.modules[data_type.__module__])
    function = eval(f"lambda value: {expression}", {**scope})  # noqa: S307  # names of our own classes
    return (Step.CONVERTED, function, program)


class _Programs:
    """The programs of one writer schema. Raises NotNative for what is too large or unknown."""

    def __init__(self, named: Mapping[str, Any]) -> None:
        self._named = named
        self._steps = 0

    def of(self, kind: Any, depth: int = 0) -> Program:
        """The program that reads values of a type."""
        self._steps += 1
        if depth > _DEEPEST or self._steps > _MOST_STEPS:
            raise NotNative("a schema of many levels or steps")
        if isinstance(kind, list):
            return (Step.UNION, tuple(self.of(branch, depth + 1) for branch in kind))
        kind = self._named.get(kind, kind) if isinstance(kind, str) else kind
        shape = kind["type"] if isinstance(kind, dict) else kind
        program = self._shaped(kind, shape, depth + 1)
        logical = kind.get("logicalType") if isinstance(kind, dict) else None
        convert = LOGICAL_READERS.get(f"{shape}-{logical}")
        if convert is None:
            return program
        return (Step.CONVERTED, lambda value: convert(value, kind, None), program)

    def _shaped(self, kind: Any, shape: Any, depth: int) -> Program:
        match shape:
            case "record":
                names = tuple(field["name"] for field in kind["fields"])
                inner = tuple(self.of(field["type"], depth) for field in kind["fields"])
                return (Step.MAPPING, names, inner)
            case "array":
                return (Step.ARRAY, self.of(kind["items"], depth))
            case "map":
                return (Step.MAP, self.of(kind["values"], depth))
            case "enum":
                return (Step.ENUM, tuple(kind["symbols"]))
            case "fixed" if 0 <= int(kind["size"]) <= _LARGEST_FIXED:
                return (Step.FIXED, int(kind["size"]))
            case str() if shape in _PRIMITIVES:
                return (_PRIMITIVES[shape],)
        raise NotNative(f"{shape!r} is no type of these programs")
