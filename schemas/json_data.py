"""Data of events between JSON and the wire mapping. Pure.

Times, decimals and bytes have no JSON of their own: bytes are base64, times ISO 8601,
decimals and UUIDs their text. What is of another form than its schema asks for is left as it is,
for the check of the data to name with its path.
"""

import binascii
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from uuid import UUID

Records = dict[str, Mapping[str, Any]]

_PARSERS: Final[Mapping[str, Callable[[str], Any]]] = {
    "timestamp-millis": datetime.fromisoformat,
    "timestamp-micros": datetime.fromisoformat,
    "date": date.fromisoformat,
    "time-millis": time.fromisoformat,
    "time-micros": time.fromisoformat,
    "decimal": Decimal,
    "uuid": UUID,
}


def to_json(value: Any) -> Any:
    """A value of a wire mapping as JSON has it."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case Mapping():
            return {str(key): to_json(inner) for key, inner in value.items()}
        case list() | tuple():
            return [to_json(inner) for inner in value]
        case datetime() | date() | time():
            return value.isoformat()
        case bytes():
            return b64encode(value).decode()
        case _:
            return str(value)


def from_json(record: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
    """The wire mapping of a data record that JSON means; not checked."""
    found = _record(record, data, {})
    return dict(found)


def _value(schema: Any, value: Any, records: Records) -> Any:
    if isinstance(schema, list):
        branches = [branch for branch in schema if branch != "null"]
        return value if value is None or len(branches) != 1 else _value(branches[0], value, records)
    if isinstance(schema, str):
        return _named(schema, value, records)
    logical = schema.get("logicalType")
    if logical in _PARSERS:
        return _parsed(_PARSERS[logical], value)
    match schema["type"]:
        case "record":
            return _record(schema, value, records) if isinstance(value, Mapping) else value
        case "array" if isinstance(value, list):
            return [_value(schema["items"], it, records) for it in value]
        case "map" if isinstance(value, Mapping):
            return {key: _value(schema["values"], it, records) for key, it in value.items()}
        case "fixed":
            return _parsed(_bytes, value)
        case str(kind) if kind not in ("array", "map", "enum"):
            return _named(kind, value, records)
        case _:
            return value


def _named(name: str, value: Any, records: Records) -> Any:
    if name == "bytes":
        return _parsed(_bytes, value)
    if name in records and isinstance(value, Mapping):
        return _record(records[name], value, records)
    return value


def _record(schema: Mapping[str, Any], value: Mapping[str, Any], records: Records) -> Any:
    name = schema["name"]
    records[name] = records[f"{schema.get('namespace', '')}.{name}"] = schema
    types = {field["name"]: field["type"] for field in schema["fields"]}
    return {
        key: _value(types[key], inner, records) if key in types else inner
        for key, inner in value.items()
    }


def _parsed(parse: Callable[[str], Any], value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return parse(value)
    except (ValueError, InvalidOperation):
        return value


def _bytes(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from error
