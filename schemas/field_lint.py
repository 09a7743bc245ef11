"""The fields of one data record: explained, and of types that mean the same in every language.

Refused: no doc, a union other than null and one type, an enum without default, an alias, a logical
type that is not known.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from fastavro.schema import SchemaParseException, UnknownType, parse_schema

from schemas.errors import Fault
from schemas.source import SourceSchema

PRIMITIVES: Final = frozenset(
    {"null", "boolean", "int", "long", "float", "double", "bytes", "string"}
)
LOGICAL_TYPES: Final = frozenset(
    {
        ("long", "timestamp-millis"),
        ("long", "timestamp-micros"),
        ("int", "date"),
        ("bytes", "decimal"),
        ("string", "uuid"),
    }
)
"""Underlying type and logical type, as data records may use them."""


def field_faults(source: SourceSchema) -> list[Fault]:
    """Every fault of the record and of all that is nested in it."""
    try:
        parse_schema(dict(source.record))
    except (SchemaParseException, UnknownType, KeyError, TypeError, ValueError) as error:
        return [_fault(source, "", f"is no Avro schema ({error})", "correct the schema")]
    found = _record(source.record, "")
    return [_fault(source, path, problem, remedy) for path, problem, remedy in found]


_Finding = tuple[str, str, str]
"""Path, problem, remedy."""


def _fault(source: SourceSchema, path: str, problem: str, remedy: str) -> Fault:
    return Fault(file=source.file, path=path, problem=problem, remedy=remedy)


def _record(record: Mapping[str, Any], path: str) -> Iterator[_Finding]:
    if not record.get("doc"):
        yield path or "doc", "has no doc", "say what it is"
    for field in record["fields"]:
        place = f"{path}.{field['name']}" if path else field["name"]
        if not field.get("doc"):
            yield place, "has no doc", "say what the field means, with its unit"
        if "aliases" in field:
            yield place, "has an alias, which other languages may ignore", "add a new field instead"
        yield from _type(field["type"], place)


def _type(kind: Any, path: str) -> Iterator[_Finding]:
    if isinstance(kind, list):
        yield from _union(kind, path)
    elif isinstance(kind, str):
        if kind not in PRIMITIVES:
            yield path, f"refers to the type {kind}", "write the type out under a name of its own"
    elif "logicalType" in kind:
        if (kind["type"], kind["logicalType"]) not in LOGICAL_TYPES:
            known = ", ".join(sorted(f"{logical} of {under}" for under, logical in LOGICAL_TYPES))
            yield path, f"has the logical type {kind['logicalType']!r}", f"use {known}"
    else:
        yield from _complex(kind, path)


def _union(branches: list[Any], path: str) -> Iterator[_Finding]:
    others = [branch for branch in branches if branch != "null"]
    if len(branches) != 2 or len(others) != 1:
        yield path, "is a union of other things than null and one type", "use null and one type"
        return
    yield from _type(others[0], path)


def _complex(kind: Mapping[str, Any], path: str) -> Iterator[_Finding]:
    match kind["type"]:
        case "record":
            yield from _record(kind, path)
        case "array":
            yield from _type(kind["items"], f"{path}[]")
        case "map":
            yield from _type(kind["values"], f"{path}{{}}")
        case "enum" if "default" not in kind:
            yield path, "is an enum without default", "add a symbol that stands for unknown ones"
        case "fixed":
            yield path, "is a fixed", "use bytes"
        case other:
            if other not in PRIMITIVES and other != "enum":
                yield path, f"has the type {other!r}", "write the type out"
