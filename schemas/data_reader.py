"""Reads the data of an event, as the wire mapping or straight into its typed class.

Python functions are generated for each writer schema: one for each record, array and map. They give
what fastavro gives, and refuse what no writer makes: numbers that are too large, negative lengths,
symbols and branches that do not exist, bytes that are left over.
"""

import struct
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from types import new_class
from typing import Any, Final, cast

from fastavro import parse_schema
from fastavro.read import LOGICAL_READERS

from schemas import read_source
from schemas.class_source import Expression, UnsupportedType, wire_conversions
from schemas.errors import InvalidWriterSchema, TruncatedEvent
from schemas.event_data import EventData

ReadData = Callable[[bytes, int], Any]
"""From framed bytes and where the data begins to the data, which must reach to their end.

Raises TruncatedEvent."""

DAMAGED: Final = (
    ArithmeticError,
    EOFError,
    LookupError,
    MemoryError,
    RecursionError,
    StopIteration,
    TypeError,
    ValueError,
    struct.error,
)
"""What reading raises over bytes that do not fit their schema."""

_PRIMITIVES: Final[Mapping[str, Callable[[str, str], Iterator[str]]]] = {
    "null": lambda variable, indent: iter([f"{indent}{variable} = None"]),
    "boolean": read_source.boolean,
    "int": lambda variable, indent: read_source.integer(variable, indent, "read_int_tail"),
    "long": read_source.integer,
    "float": lambda variable, indent: read_source.number(variable, indent, "float", 4),
    "double": lambda variable, indent: read_source.number(variable, indent, "double", 8),
    "bytes": lambda variable, indent: read_source.sized(variable, indent, ""),
    "string": read_source.sized,
}


def parsed_record(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """A record as fastavro takes it: names in full, and all of them at hand."""
    parsed: Any = parse_schema(dict(record))
    return cast("Mapping[str, Any]", parsed)


def compile_wire_reader(
    record: Mapping[str, Any], known: Mapping[str, Any] | None = None
) -> ReadData:
    """The reader of a data record that gives wire mappings.

    Those of `known` where it is given: a record that differs by whole fields alone, see
    `differs_by_fields`. Raises InvalidWriterSchema for a type that Avro does not have.
    """
    generator = _Generator(record)
    read, values = generator.outermost(known or record)
    return generator.compiled([*read, *_closing(f"    return {_mapping(values)}")])


def compile_typed_reader(
    record: Mapping[str, Any],
    data_type: type[EventData],
    known: Mapping[str, Any] | None = None,
) -> ReadData:
    """The reader that gives objects of the class that was generated for the record.

    Of that for `known` where it is given, as in `compile_wire_reader`. Any other class of these
    data is made of the wire mapping.
    """
    conversions = conversions_to(data_type, known or record)
    if conversions is None:
        return made_of(compile_wire_reader(record, known), data_type)
    generator = _Generator(record)
    read, values = generator.outermost(known or record)
    generator.scope = {**vars(sys.modules[data_type.__module__]), **generator.scope}
    generator.scope |= {"Draft": _draft_of(data_type), "Typed": data_type, "new": object.__new__}
    build = ["    draft = new(Draft)"]
    build += [
        f"    draft.{attribute} = {convert(values[name])}"
        for name, (attribute, convert) in conversions.items()
    ]
    build += ["    draft.__class__ = Typed", "    return draft"]
    return generator.compiled([*read, *_closing(*build)])


def conversions_to(
    data_type: type[EventData], record: Mapping[str, Any]
) -> Mapping[str, tuple[str, Expression]] | None:
    """What becomes of each field in the class that was generated for a record.

    None for any other class.
    """
    try:
        conversions = wire_conversions(record, data_type.__name__)
    except UnsupportedType:
        return None
    attributes = [attribute for attribute, _ in conversions.values()]
    return conversions if attributes == attributes_of(data_type) else None


def made_of(read: ReadData, data_type: type[EventData]) -> ReadData:
    """The reader that makes a class of the wire mapping that another one gives."""

    def read_typed(framed: bytes, offset: int) -> EventData:
        payload = read(framed, offset)
        try:
            return data_type.from_wire(payload)
        except (LookupError, TypeError, ValueError) as error:
            raise TruncatedEvent(f"the data do not fit their class ({error!r})") from error

    return read_typed


def attributes_of(data_type: Any) -> list[str] | None:
    """The names in a dataclass; None for another class."""
    return [one.name for one in fields(data_type)] if is_dataclass(data_type) else None


def _draft_of(data_type: type[EventData]) -> type[EventData]:
    """The class with attributes that can be set: an object becomes frozen with its last step.

    It has the same slots, so Python lets the object change its class. Through `object.__setattr__`
    of the frozen class the whole read takes 1.6 times as long.
    """

    def open_again(scope: dict[str, Any]) -> None:
        scope["__slots__"] = ()
        scope["__setattr__"] = object.__setattr__
        scope["__delattr__"] = object.__delattr__

    return new_class(data_type.__name__, (data_type,), exec_body=open_again)


def _mapping(values: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{name!r}: {variable}" for name, variable in values.items()) + "}"


def _closing(*build: str) -> list[str]:
    """The end of the outermost function: whatever went wrong, and bytes that are left over."""
    return [
        "        if at != len(data):",
        "            raise TruncatedEvent(left_over(data, at))",
        "    except DAMAGED as error:",
        "        raise TruncatedEvent(f'the data cannot be read ({error})') from error",
        *build,
    ]


def left_over(data: bytes, at: int) -> str:
    """What is said of data that end elsewhere than their bytes."""
    if at > len(data):
        return f"the data reach to {at}, past the end at {len(data)}"
    return f"{len(data) - at} bytes follow the data"


class _Generator:
    """Writes the functions of one reader. Names of a schema enter them as literals alone."""

    def __init__(self, record: Mapping[str, Any]) -> None:
        self._record_schema = parsed_record(record)
        self._named: Mapping[str, Any] = self._record_schema["__named_schemas"]
        self._functions: dict[str, str] = {}
        self._lines: list[str] = []
        self._next = 0
        self.scope: dict[str, Any] = {
            **read_source.SCOPE,
            "DAMAGED": DAMAGED,
            "TruncatedEvent": TruncatedEvent,
            "left_over": left_over,
        }

    def outermost(self, known: Mapping[str, Any]) -> tuple[list[str], dict[str, str]]:
        """The lines that read the record itself, and a name for each field of `known`.

        That of the variable that was read, or of the default of a field that was not written.
        """
        lines, read = self._fields(self._record_schema, "        ")
        values = {
            field["name"]: read.get(field["name"]) or self._constant(field["default"])
            for field in known["fields"]
        }
        return ["def read_data(data, at):", "    try:", *lines], values

    def compiled(self, outermost: list[str]) -> ReadData:
        """The function that these lines and all that they call make."""
        source = "\n".join([*self._lines, *outermost])
        exec(compile(source, "<data reader>", "exec"), self.scope)  # noqa: S102  # names of a schema enter it as literals
        read: ReadData = self.scope["read_data"]
        return read

    def _value(self, kind: Any, variable: str, indent: str) -> Iterator[str]:
        """Read one value into a variable."""
        if isinstance(kind, list):
            yield from self._union(kind, variable, indent)
            return
        kind = self._named.get(kind, kind) if isinstance(kind, str) else kind
        shape = kind["type"] if isinstance(kind, dict) else kind
        if shape in {"record", "array", "map"}:
            yield f"{indent}{variable}, at = {self._function(kind)}(data, at)"
        elif shape == "enum":
            yield from read_source.branch(indent)
            yield f"{indent}if n & 1:"
            yield f"{indent}    raise IndexError('an enum has no such symbol')"
            yield f"{indent}{variable} = {self._constant(tuple(kind['symbols']))}[n >> 1]"
        elif shape == "fixed":
            yield f"{indent}{variable} = data[at : (at := at + {int(kind['size'])})]"
            yield f"{indent}if at > len(data):"
            yield f"{indent}    raise IndexError('the bytes end early')"
        elif isinstance(shape, str) and shape in _PRIMITIVES:
            yield from _PRIMITIVES[shape](variable, indent)
        else:
            raise InvalidWriterSchema(f"{shape!r} is no Avro type")
        yield from self._logical(kind, shape, variable, indent)

    def _logical(self, kind: Any, shape: str, variable: str, indent: str) -> Iterator[str]:
        """What fastavro makes of a logical type; one that it does not know says nothing."""
        logical = kind.get("logicalType") if isinstance(kind, dict) else None
        convert = LOGICAL_READERS.get(f"{shape}-{logical}")
        if convert is not None:
            names = f"{self._constant(convert)}({variable}, {self._constant(kind)}, None)"
            yield f"{indent}{variable} = {names}"

    def _union(self, branches: list[Any], variable: str, indent: str) -> Iterator[str]:
        yield from read_source.branch(indent)
        for place, kind in enumerate(branches):
            yield f"{indent}{'elif' if place else 'if'} n == {2 * place}:"
            yield from self._value(kind, variable, indent + "    ")
        yield f"{indent}else:"
        yield f"{indent}    raise IndexError('a union has no such branch')"

    def _function(self, kind: Mapping[str, Any]) -> str:
        """The name of the function for a record, an array or a map."""
        full_name = kind.get("name", "")
        if full_name in self._functions:
            return self._functions[full_name]
        name = self._name("read_")
        if full_name:
            self._functions[full_name] = name
        body = {"record": self._record, "array": self._array, "map": self._map}[kind["type"]]
        self._lines += [f"def {name}(data, at):", *body(kind)]
        return name

    def _fields(self, record: Mapping[str, Any], indent: str) -> tuple[list[str], dict[str, str]]:
        lines: list[str] = []
        values = {}
        for field in record["fields"]:
            values[field["name"]] = variable = self._name("v")
            lines += self._value(field["type"], variable, indent)
        return lines, values

    def _record(self, kind: Mapping[str, Any]) -> list[str]:
        lines, values = self._fields(kind, "    ")
        return [*lines, f"    return {_mapping(values)}, at"]

    def _array(self, kind: Mapping[str, Any]) -> list[str]:
        item = [*self._value(kind["items"], "item", " " * 12), "            items.append(item)"]
        return _blocks("[]", item)

    def _map(self, kind: Mapping[str, Any]) -> list[str]:
        item = [*read_source.sized("key", " " * 12)]
        item += [*self._value(kind["values"], "item", " " * 12), "            items[key] = item"]
        return _blocks("{}", item)

    def _constant(self, value: Any) -> str:
        name = self._name("k")
        self.scope[name] = value
        return name

    def _name(self, prefix: str) -> str:
        self._next += 1
        return f"{prefix}{self._next}"


def _blocks(empty: str, item: list[str]) -> list[str]:
    """Blocks until one is empty; a negative count is followed by the size in bytes."""
    return [
        f"    items = {empty}",
        "    while True:",
        "        count, at = read_long(data, at)",
        "        if count == 0:",
        "            return items, at",
        "        if count < 0:",
        "            count = -count",
        "            size, at = read_long(data, at)",
        "        for _ in range(count):",
        *item,
        "            if at > len(data):",
        "                raise IndexError('the bytes end early')",
    ]
