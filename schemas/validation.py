"""Checks of wire mappings, compiled from a data record: what does not fit is named by its path.

Stricter than an Avro writer, which cuts 1.5 to 1 and writes 2^40 as an int: unknown fields,
booleans as numbers, numbers out of range and times without a zone are refused.
"""

from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from schemas.errors import InvalidEventData

Check = Callable[[Any], Any]
"""Gives the value with defaults filled in, or raises Misfit."""

_Names = dict[str, Check]


class Misfit(Exception):
    """A value does not fit; `parts` grow outwards while it is raised through its containers."""

    def __init__(self, problem: str) -> None:
        self.problem = problem
        self.parts: list[str] = []
        super().__init__(problem)


def compile_check(record: Mapping[str, Any]) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """The check of a data record.

    It raises InvalidEventData with a path such as `data.files[3].path`.
    """
    check = _compile(record, {}, "")

    def check_data(data: Mapping[str, Any]) -> dict[str, Any]:
        try:
            checked: dict[str, Any] = check(data)
        except Misfit as misfit:
            raise InvalidEventData("data" + "".join(misfit.parts), misfit.problem) from None
        return checked

    return check_data


def _compile(schema: Any, names: _Names, namespace: str) -> Check:
    if isinstance(schema, list):
        return _union(schema, names, namespace)
    if isinstance(schema, str):
        return _PRIMITIVES[schema] if schema in _PRIMITIVES else _named(schema, names, namespace)
    kind = schema["type"]
    if kind in _COMPLEX:
        return _COMPLEX[kind](schema, names, namespace)
    if schema.get("logicalType") in _LOGICAL:
        return _LOGICAL[schema["logicalType"]]
    return _compile(kind, names, namespace)


def _named(name: str, names: _Names, namespace: str) -> Check:
    """A reference, looked up when used: a record may hold itself."""
    full = name if "." in name or not namespace else f"{namespace}.{name}"

    def check(value: Any) -> Any:
        return names[full](value)

    return check


def _full_name(schema: Mapping[str, Any], namespace: str) -> tuple[str, str]:
    """Full name and namespace of a named type."""
    name = schema["name"]
    if "." not in name:
        space = schema.get("namespace", namespace)
        return (f"{space}.{name}" if space else name), space
    return name, name.rpartition(".")[0]


def _record(schema: Any, names: _Names, namespace: str) -> Check:
    full, space = _full_name(schema, namespace)
    checks: dict[str, Check] = {}
    defaults: dict[str, Any] = {}

    def check(value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise _expected("an object", value)
        checked = {}
        for name, check_field in checks.items():
            try:
                if name in value:
                    checked[name] = check_field(value[name])
                elif name in defaults:
                    checked[name] = defaults[name]
                else:
                    raise Misfit("is missing and has no default")  # noqa: TRY301  # gets its path below
            except Misfit as misfit:
                misfit.parts.insert(0, f".{name}")
                raise
        if len(value) != len(checked) or not checks.keys() >= value.keys():
            _refuse_unknown(value, checks)
        return checked

    names[full] = check
    for field in schema["fields"]:
        checks[field["name"]] = _compile(field["type"], names, space)
        if "default" in field:
            defaults[field["name"]] = field["default"]
    return check


def _refuse_unknown(value: Mapping[Any, Any], checks: Mapping[str, Check]) -> None:
    for name in value:
        if name not in checks:
            misfit = Misfit(f"is not a field of the schema, only {', '.join(checks)}")
            misfit.parts.append(f".{name}")
            raise misfit


def _union(schema: Any, names: _Names, namespace: str) -> Check:
    branches = [_compile(branch, names, namespace) for branch in schema if branch != "null"]
    takes_null = len(branches) < len(schema)
    if len(branches) == 1 and takes_null:
        only = branches[0]
        return lambda value: None if value is None else only(value)
    labels = ", ".join(
        branch if isinstance(branch, str) else str(branch.get("name", branch["type"]))
        for branch in schema
    )

    def check(value: Any) -> Any:
        if value is None and takes_null:
            return None
        for branch in branches:
            try:
                return branch(value)
            except Misfit:
                continue
        raise _expected(f"one of {labels}", value)

    return check


def _array(schema: Any, names: _Names, namespace: str) -> Check:
    check_item = _compile(schema["items"], names, namespace)

    def check(value: Any) -> list[Any]:
        if not isinstance(value, list | tuple):
            raise _expected("a list", value)
        checked = []
        for index, item in enumerate(value):
            try:
                checked.append(check_item(item))
            except Misfit as misfit:
                misfit.parts.insert(0, f"[{index}]")
                raise
        return checked

    return check


def _map(schema: Any, names: _Names, namespace: str) -> Check:
    check_item = _compile(schema["values"], names, namespace)

    def check(value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise _expected("an object", value)
        checked = {}
        for key, item in value.items():
            try:
                checked[_string(key)] = check_item(item)
            except Misfit as misfit:
                misfit.parts.insert(0, f"[{key!r}]")
                raise
        return checked

    return check


def _enum(schema: Any, names: _Names, namespace: str) -> Check:
    symbols = tuple(schema["symbols"])

    def check(value: Any) -> str:
        if not isinstance(value, str) or value not in symbols:
            raise _expected(f"one of {', '.join(symbols)}", value)
        return value

    names[_full_name(schema, namespace)[0]] = check
    return check


def _fixed(schema: Any, names: _Names, namespace: str) -> Check:
    size = schema["size"]

    def check(value: Any) -> bytes:
        if not isinstance(value, bytes) or len(value) != size:
            raise _expected(f"{size} bytes", value)
        return value

    names[_full_name(schema, namespace)[0]] = check
    return check


def _expected(what: str, value: Any) -> Misfit:
    """Names what came by its type alone: the value may be personal."""
    return Misfit(f"expected {what}, got {type(value).__name__}")


def _null(value: Any) -> None:
    if value is not None:
        raise _expected("null", value)


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _expected("a boolean", value)
    return value


def _integer(bits: int) -> Check:
    low, high = -(1 << bits - 1), (1 << bits - 1) - 1

    def check(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise _expected("a whole number", value)
        if not low <= value <= high:
            raise Misfit(f"is outside of {bits} bits")
        return value

    return check


def _number(value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise _expected("a number", value)
    return float(value)


def _bytes(value: Any) -> bytes:
    if not isinstance(value, bytes):
        raise _expected("bytes", value)
    return value


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise _expected("a string", value)
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Misfit("holds half a surrogate pair, which is no text") from None
    return value


def _aware(value: Any) -> datetime:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise _expected("a time with its zone", value)
    return value


def _instance(kind: type, what: str) -> Check:
    def check(value: Any) -> Any:
        if not isinstance(value, kind):
            raise _expected(what, value)
        return value

    return check


_PRIMITIVES: Final[dict[str, Check]] = {
    "null": _null,
    "boolean": _boolean,
    "int": _integer(32),
    "long": _integer(64),
    "float": _number,
    "double": _number,
    "bytes": _bytes,
    "string": _string,
}
_COMPLEX: Final[dict[str, Callable[[Any, _Names, str], Check]]] = {
    "record": _record,
    "array": _array,
    "map": _map,
    "enum": _enum,
    "fixed": _fixed,
}
_LOGICAL: Final[dict[str, Check]] = {
    "timestamp-millis": _aware,
    "timestamp-micros": _aware,
    "date": _instance(date, "a date"),
    "time-millis": _instance(time, "a time of day"),
    "time-micros": _instance(time, "a time of day"),
    "decimal": _instance(Decimal, "a decimal number"),
    "uuid": _instance(UUID, "a UUID"),
}
