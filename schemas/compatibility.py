"""Within a major version every version reads every other: FULL_TRANSITIVE.

History is replayed for ever, so no version may be left behind. Apache Avro's checker decides
what Avro resolves; what it lets pass though readers differ (logical types, decimals) is refused.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from itertools import combinations
from typing import Any, Final

from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType
from avro.schema import parse

from schemas.errors import Fault
from schemas.source import SourceSchema, major_of, version_key

_LOGICAL: Final = ("logicalType", "precision", "scale")
_NEW_VERSION: Final = "keep it as it was, or start a new major version"


def incompatibilities(sources: Iterable[SourceSchema]) -> list[Fault]:
    """Every pair of versions within a major that cannot read each other, and the path why."""
    lines: dict[tuple[str, int], list[SourceSchema]] = defaultdict(list)
    for source in sources:
        lines[source.type, major_of(source.version)].append(source)
    faults: list[Fault] = []
    for line in lines.values():
        line.sort(key=lambda source: version_key(source.version))
        for older, newer in combinations(line, 2):
            faults += _pair_faults(older, newer)
    return faults


def _pair_faults(older: SourceSchema, newer: SourceSchema) -> Iterator[Fault]:
    for reader, writer in ((newer, older), (older, newer)):
        for path, problem in _unreadable(reader.record, writer.record, ""):
            yield Fault(
                file=newer.file,
                path=path,
                problem=f"{reader.version} cannot read what {writer.version} wrote: {problem}",
                remedy=_NEW_VERSION if problem != _NO_DEFAULT else "give the field a default",
            )
    for path, problem in _logical_changes(older.record, newer.record, ""):
        yield Fault(
            file=newer.file, path=path, problem=f"{problem} of {older.version}", remedy=_NEW_VERSION
        )


_NO_DEFAULT: Final = "the field has no default"


def _unreadable(
    reader: Mapping[str, Any], writer: Mapping[str, Any], path: str
) -> Iterator[tuple[str, str]]:
    """The fields of a reader's record that a writer's record cannot fill."""
    written = _fields(writer)
    for name, field in _fields(reader).items():
        place = _join(path, name)
        if name not in written:
            if "default" not in field:
                yield place, _NO_DEFAULT
            continue
        problem = _problem(field["type"], written[name]["type"])
        if problem is None:
            continue
        inner, outer = _record_in(field["type"]), _record_in(written[name]["type"])
        deeper = list(_unreadable(inner, outer, place)) if inner and outer else []
        yield from deeper or [(place, problem)]


def _problem(reader: Any, writer: Any) -> str | None:
    """Why Avro cannot resolve two types, or None when it can."""
    checker = ReaderWriterCompatibilityChecker()  # type: ignore[no-untyped-call]  # avro has no types
    result = checker.get_compatibility(_wrapped(reader), _wrapped(writer))
    if result.compatibility is SchemaCompatibilityType.compatible:
        return None
    return "; ".join(sorted(result.messages)) or "the types differ"


def _wrapped(kind: Any) -> Any:
    """A type as the only field of a record: any type becomes a schema that the checker takes."""
    field = {"name": "value", "type": kind}
    return parse(json.dumps({"type": "record", "name": "Compared", "fields": [field]}))


def _logical_changes(
    older: Mapping[str, Any], newer: Mapping[str, Any], path: str
) -> Iterator[tuple[str, str]]:
    before = _fields(older)
    for name, field in _fields(newer).items():
        if name in before:
            yield from _logical_change(before[name]["type"], field["type"], _join(path, name))


def _logical_change(older: Any, newer: Any, path: str) -> Iterator[tuple[str, str]]:
    before, after = _essence(older), _essence(newer)
    if not isinstance(before, dict):
        before = {"type": before}
    if not isinstance(after, dict):
        after = {"type": after}
    for name in _LOGICAL:
        if before.get(name) != after.get(name):
            yield path, f"has {name} {after.get(name)!r} instead of the {before.get(name)!r}"
    if before["type"] != after["type"]:
        return
    match after["type"]:
        case "record":
            yield from _logical_changes(before, after, path)
        case "array":
            yield from _logical_change(before["items"], after["items"], f"{path}[]")
        case "map":
            yield from _logical_change(before["values"], after["values"], f"{path}{{}}")


def _essence(kind: Any) -> Any:
    """The type itself, without the null beside it."""
    if isinstance(kind, list):
        return next((branch for branch in kind if branch != "null"), "null")
    return kind


def _record_in(kind: Any) -> Mapping[str, Any] | None:
    essence = _essence(kind)
    is_record = isinstance(essence, dict) and essence.get("type") == "record"
    return essence if is_record else None


def _fields(record: Mapping[str, Any]) -> dict[str, Any]:
    return {field["name"]: field for field in record["fields"]}


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
