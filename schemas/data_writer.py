"""Writes typed data straight from their class: checks and bytes in one pass.

A Python function is generated for each data class. It takes exactly what needs no thought: values
of the very types that the class names, in range. All else it leaves to the checks, which name what
is wrong.
"""

import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from schemas import varint
from schemas.class_source import UnsupportedType, wire_conversions
from schemas.data_reader import attributes_of
from schemas.event_data import EventData

WriteData = Callable[[Any], bytes | None]
"""The Avro bytes of typed data; None for what the checks must look at."""

_NULL: Final = "null"


def compile_typed_writer(record: Mapping[str, Any], data_type: type[EventData]) -> WriteData | None:
    """The writer for the class that was generated for a data record.

    None when it has fields of other than primitive types, null or one of them, and lists of them.
    """
    try:
        conversions = wire_conversions(record, data_type.__name__)
    except UnsupportedType:
        return None
    if [attribute for attribute, _ in conversions.values()] != attributes_of(data_type):
        return None
    lines = ["def write_data(data):", "    try:"]
    parts: list[str] = []
    for place, field in enumerate(record["fields"]):
        lines.append(f"        v = data.{conversions[field['name']][0]}")
        written = _field(field["type"], f"p{place}")
        if written is None:
            return None
        lines += [f"        {line}" for line in written]
        parts.append(f"p{place}")
    lines.append(f"        return join([{', '.join(parts)}])")
    lines.append("    except UnicodeEncodeError:")
    lines.append("        return None")
    scope = dict(_SCOPE)
    exec(compile("\n".join(lines), "<data writer>", "exec"), scope)  # noqa: S102  # names of classes alone enter it
    write: WriteData = scope["write_data"]
    return write


def _field(kind: Any, part: str) -> list[str] | None:
    """Lines that make the bytes of `v`, or leave the function; None for a type not handled here."""
    if isinstance(kind, list):
        return _nullable(kind, part)
    if isinstance(kind, dict):
        return _list(kind, part)
    return list(_PRIMITIVES[kind](part)) if kind in _PRIMITIVES else None


def _nullable(branches: list[Any], part: str) -> list[str] | None:
    if len(branches) != 2 or _NULL not in branches:
        return None
    null = branches.index(_NULL)
    inner = _field(branches[1 - null], part) if isinstance(branches[1 - null], str) else None
    if inner is None:
        return None
    return [
        "if v is None:",
        f"    {part} = {bytes((2 * null,))!r}",
        "else:",
        *(f"    {line}" for line in inner),
        f"    {part} = {bytes((2 - 2 * null,))!r} + {part}",
    ]


def _list(kind: Mapping[str, Any], part: str) -> list[str] | None:
    """One block and the empty one, as fastavro writes them."""
    items = kind.get("items")
    if kind["type"] != "array" or not isinstance(items, str) or items not in _PRIMITIVES:
        return None
    return [
        "if type(v) is not tuple and type(v) is not list:",
        "    return None",
        "items = [write_long(len(v))] if v else []",
        "for v in v:",
        *(f"    {line}" for line in _PRIMITIVES[items](part)),
        f"    items.append({part})",
        "items.append(NULL)",
        f"{part} = join(items)",
    ]


def _of_type(name: str) -> Iterator[str]:
    """Only the very type: a truth value is a number for Python, not for Avro."""
    yield f"if type(v) is not {name}:"
    yield "    return None"


def _integer(bits: int) -> Callable[[str], Iterator[str]]:
    def lines(part: str) -> Iterator[str]:
        yield from _of_type("int")
        yield "n = v << 1 if v >= 0 else ~(v << 1)"
        yield f"if n < {len(varint.SHORT)}:"
        yield f"    {part} = SHORT[n]"
        yield f"elif n >> {bits}:"
        yield "    return None"
        yield "else:"
        yield f"    {part} = write_long(v)"

    return lines


def _string(part: str) -> Iterator[str]:
    yield from _of_type("str")
    yield "v = v.encode()"
    yield f"{part} = write_long(len(v)) + v"


def _bytes(part: str) -> Iterator[str]:
    yield from _of_type("bytes")
    yield f"{part} = write_long(len(v)) + v"


def _boolean(part: str) -> Iterator[str]:
    yield from _of_type("bool")
    yield f"{part} = {bytes((1,))!r} if v else {bytes((0,))!r}"


def _double(part: str) -> Iterator[str]:
    yield from _of_type("float")
    yield f"{part} = pack_double(v)"


_PRIMITIVES: Final[Mapping[str, Callable[[str], Iterator[str]]]] = {
    "boolean": _boolean,
    "int": _integer(32),
    "long": _integer(64),
    "double": _double,
    "bytes": _bytes,
    "string": _string,
}
_SCOPE: Final[Mapping[str, Any]] = {
    "NULL": varint.NULL,
    "SHORT": varint.SHORT,
    "join": b"".join,
    "pack_double": struct.Struct("<d").pack,
    "write_long": varint.write_long,
}
