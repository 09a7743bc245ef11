"""Steps over Avro values that this release does not know, in the Avro specification's encoding.

Every step raises IndexError, ValueError or TruncatedEvent over bytes that end early or do not fit.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from schemas.errors import InvalidWriterSchema, TruncatedEvent
from schemas.read_source import read_long

Skip = Callable[[bytes, int], int]
"""From the place where a value begins to the place where it ends."""

NamedTypes = Mapping[str, Any]
"""Named types of a schema by their full names."""

_WIDTHS: Final = {"null": 0, "boolean": 1, "float": 4, "double": 8}


def named_types(schema: Any, namespace: str) -> NamedTypes:
    """Every named type in a schema by its full name, and by its own where no other has it."""
    names: dict[str, Any] = {}
    _collect_names(schema, namespace, names)
    return names


def _collect_names(schema: Any, namespace: str, names: dict[str, Any]) -> None:
    if isinstance(schema, list):
        for branch in schema:
            _collect_names(branch, namespace, names)
    elif isinstance(schema, dict):
        if "name" in schema:
            namespace = schema.get("namespace", namespace)
            names[f"{namespace}.{schema['name']}" if namespace else schema["name"]] = schema
            names.setdefault(schema["name"], schema)
        for inner in (schema.get("items"), schema.get("values")):
            _collect_names(inner, namespace, names)
        _collect_names([field["type"] for field in schema.get("fields", ())], namespace, names)


def skip_sized(data: bytes, at: int) -> int:
    """Step over a text or bytes."""
    length, at = read_long(data, at)
    if length < 0:
        raise TruncatedEvent(f"a length of {length}")
    return _within(data, at + length)


def compile_skip(schema: Any, names: NamedTypes) -> Skip:
    """The step over values of a type. Raises InvalidWriterSchema for what is no Avro type."""
    return _compile(schema, names, {})


def _compile(schema: Any, names: NamedTypes, known: dict[str, Skip]) -> Skip:
    if isinstance(schema, list):
        return _union([_compile(branch, names, known) for branch in schema])
    if isinstance(schema, str):
        return _named(schema, names, known)
    match schema:
        case {"type": "array", "items": items}:
            return _blocks(_compile(items, names, known), keyed=0)
        case {"type": "map", "values": values}:
            return _blocks(_compile(values, names, known), keyed=1)
        case {"type": "fixed", "size": int(size)}:
            return _fixed(size)
        case {"type": "enum"}:
            return _skip_long
        case {"type": "record", "fields": list(fields)}:
            return _record([_compile(field["type"], names, known) for field in fields])
        case {"type": str(kind)}:
            return _named(kind, names, known)
    raise InvalidWriterSchema(f"{schema!r} is no Avro type")


def _named(name: str, names: NamedTypes, known: dict[str, Skip]) -> Skip:
    """A primitive, or a type that was named before; a record may hold itself."""
    if name in _WIDTHS:
        return _fixed(_WIDTHS[name])
    if name in {"int", "long"}:
        return _skip_long
    if name in {"string", "bytes"}:
        return skip_sized
    if name not in names:
        raise InvalidWriterSchema(f"{name!r} is no Avro type")
    if name not in known:
        known[name] = _later(name, known)
        known[name] = _compile(names[name], names, known)
    return known[name]


def _later(name: str, known: Mapping[str, Skip]) -> Skip:
    """The step over a type that is still being compiled."""

    def skip(data: bytes, at: int) -> int:
        return known[name](data, at)

    return skip


def _within(data: bytes, at: int) -> int:
    if at > len(data):
        raise TruncatedEvent(f"a value reaches to {at}, past the end at {len(data)}")
    return at


def _skip_long(data: bytes, at: int) -> int:
    return read_long(data, at)[1]


def _fixed(size: int) -> Skip:
    return lambda data, at: _within(data, at + size)


def _record(fields: list[Skip]) -> Skip:
    def skip(data: bytes, at: int) -> int:
        for field in fields:
            at = field(data, at)
        return at

    return skip


def _union(branches: list[Skip]) -> Skip:
    def skip(data: bytes, at: int) -> int:
        branch, at = read_long(data, at)
        if not 0 <= branch < len(branches):
            raise TruncatedEvent(f"a union has no branch {branch}")
        return branches[branch](data, at)

    return skip


def _blocks(item: Skip, *, keyed: int) -> Skip:
    """Arrays and maps.

    Blocks until one is empty; a negative count is followed by the size in bytes.
    """
    steps = [skip_sized] * keyed + [item]

    def skip(data: bytes, at: int) -> int:
        while True:
            count, at = read_long(data, at)
            if count == 0:
                return at
            if count < 0:
                size, at = read_long(data, at)
                if size < 0:
                    raise TruncatedEvent(f"a block of {size} bytes")
                at = _within(data, at + size)
                continue
            before = at
            for _ in range(count):
                for step in steps:
                    at = step(data, at)
                if at == before:
                    break  # items of no bytes: their number alone would keep us here

    return skip
