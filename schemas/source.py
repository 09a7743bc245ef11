"""Hand-written schema files: `avro/<category>/<type>/<version>.avsc`, one data record each.

Reading collects every fault of every file; a file with a fault is not given to anybody.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from schemas.envelope import Category, Priority
from schemas.errors import Fault
from schemas.pattern import EVENT_TYPE

VERSION: Final = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")
RULES: Final = ("system", "project", "user")
"""The broadcast rules: which rooms an event goes to."""

_ATTRIBUTE: Final = "wundr"
_KEYS: Final = frozenset(
    {"priority", "aggregate", "key", "owner", "broadcast", "personal", "subject", "appended"}
)
_MAY_BE_SHOWN: Final = frozenset({"personal", "compressible"})
"""What `broadcast` may leave out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Broadcast:
    """What browsers may see of an event.

    By which rules it finds rooms, which fields of its data, and which of these although they are
    personal. `compressible`: a later event of the aggregate says all that an earlier one said, so a
    browser that lags may be shown the later one alone.
    """

    rules: tuple[str, ...]
    fields: tuple[str, ...]
    personal: tuple[str, ...] = ()
    compressible: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Attributes:
    """The `wundr` attribute of a data record.

    `key` is the field that holds the aggregate's id, `subject` the one that says whose the personal
    data are.
    """

    priority: Priority
    aggregate: str | None
    key: str | None
    owner: str
    broadcast: Broadcast | None
    personal: tuple[str, ...]
    subject: str | None
    appended: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSchema:
    """One hand-written file. `record` is the data record without its `wundr` attribute."""

    file: str
    category: Category
    type: str
    version: str
    attributes: Attributes
    record: Mapping[str, Any]
    text: str


def version_key(version: str) -> tuple[int, ...]:
    """What versions are sorted by: `1.10.0` comes after `1.9.0`."""
    return tuple(int(part) for part in version.split("."))


def major_of(version: str) -> int:
    """The first number: within it, every version can read every other."""
    return version_key(version)[0]


def normalised(schema: Mapping[str, Any]) -> str:
    """A schema as text that depends on its content, not on spaces or the order of attributes."""
    return json.dumps(schema, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def read_sources(root: Path) -> tuple[list[SourceSchema], list[Fault]]:
    """Every `.avsc` file below `root`, and what is wrong with the others."""
    sources: list[SourceSchema] = []
    faults: list[Fault] = []
    for path in sorted(root.rglob("*.avsc")):
        file = path.relative_to(root).as_posix()
        try:
            text = path.read_text(encoding="utf-8")
            sources.append(read_source(file, json.loads(text)))
        except (OSError, ValueError) as error:
            problem = f"cannot be read as JSON ({error})"
            faults.append(Fault(file=file, path="", problem=problem, remedy="correct the file"))
        except FileFaults as error:
            faults += error.faults
    faults += _repeated(sources)
    if not sources and not faults:
        problem = "holds no schema file"
        faults.append(
            Fault(file=root.name, path="", problem=problem, remedy="reinstall wundr-events")
        )
    return sources, faults


def _repeated(sources: Sequence[SourceSchema]) -> list[Fault]:
    """One version of a type in two categories."""
    first: dict[tuple[str, str], str] = {}
    faults = []
    for source in sources:
        file = first.setdefault((source.type, source.version), source.file)
        if file != source.file:
            problem = f"is the same version as {file}"
            faults.append(Fault(file=source.file, path="", problem=problem, remedy="keep one"))
    return faults


class FileFaults(Exception):
    """What is wrong in one file; collected by `read_sources`."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__(f"{len(self.faults)} faults")


def read_source(file: str, schema: Any) -> SourceSchema:
    """The file at `<category>/<type>/<version>.avsc` with this content. Raises FileFaults."""
    faults = _Faults(file)
    category, event_type, version = _place(file, faults)
    if not isinstance(schema, dict) or schema.get("type") != "record":
        faults.add("type", "is not a record", "describe the data as a record")
        raise FileFaults(faults.found)
    _check_names(schema, category, faults)
    attributes = _attributes(schema.get(_ATTRIBUTE), faults)
    if faults.found or attributes is None:
        raise FileFaults(faults.found)
    return SourceSchema(
        file=file,
        category=Category(category),
        type=event_type,
        version=version,
        attributes=attributes,
        record={name: value for name, value in schema.items() if name != _ATTRIBUTE},
        text=normalised(schema),
    )


class _Faults:
    """Collects what is wrong in one file."""

    __slots__ = ("_file", "found")

    def __init__(self, file: str) -> None:
        self._file = file
        self.found: list[Fault] = []

    def add(self, path: str, problem: str, remedy: str) -> None:
        self.found.append(Fault(file=self._file, path=path, problem=problem, remedy=remedy))


def _place(file: str, faults: _Faults) -> tuple[str, str, str]:
    """Category, type and version, which the path of a file says."""
    parts = file.removesuffix(".avsc").split("/")
    if len(parts) != 3:
        faults.add("", "is not at <category>/<type>/<version>.avsc", "move the file")
        return "", "", ""
    category, event_type, version = parts
    if category not in list(Category):
        faults.add("", f"{category!r} is no category", f"use one of {', '.join(Category)}")
    if not EVENT_TYPE.fullmatch(event_type):
        faults.add("", f"{event_type!r} is no event type", "use lower-case words in dot notation")
    if not VERSION.fullmatch(version):
        faults.add("", f"{version!r} is no version", "use three numbers, such as 1.0.0")
    return category, event_type, version


def _check_names(schema: Mapping[str, Any], category: str, faults: _Faults) -> None:
    if schema.get("namespace") != f"wundr.{category}":
        faults.add("namespace", f"is {schema.get('namespace')!r}", f"use wundr.{category}")
    if not re.fullmatch(r"[A-Z][A-Za-z0-9]*", str(schema.get("name", ""))):
        faults.add("name", f"is {schema.get('name')!r}", "use one word in CapWords")
    fields = schema.get("fields")
    if not isinstance(fields, list) or not all(
        isinstance(field, dict) and isinstance(field.get("name"), str) and "type" in field
        for field in fields
    ):
        faults.add("fields", "is not a list of named, typed fields", "correct the fields")


def _attributes(given: Any, faults: _Faults) -> Attributes | None:
    if not isinstance(given, dict):
        faults.add(_ATTRIBUTE, "is missing", "add priority, aggregate, owner and personal")
        return None
    for name in sorted(given.keys() - _KEYS):
        faults.add(f"{_ATTRIBUTE}.{name}", "is not known", "remove it or correct its spelling")
    priority = _priority(given.get("priority"), faults)
    for name in ("aggregate", "key", "subject"):
        if given.get(name) is not None and not isinstance(given[name], str):
            faults.add(f"{_ATTRIBUTE}.{name}", "is no word", "name it, or leave it null")
    if not isinstance(given.get("owner"), str):
        faults.add(f"{_ATTRIBUTE}.owner", "is missing", "name the team that owns the type")
    if not isinstance(given.get("appended", False), bool):
        faults.add(f"{_ATTRIBUTE}.appended", "is neither true nor false", "use true or false")
    personal = _words(given.get("personal"), f"{_ATTRIBUTE}.personal", faults)
    broadcast = _broadcast(given.get("broadcast"), faults)
    if faults.found or priority is None:
        return None
    return Attributes(
        priority=priority,
        aggregate=given.get("aggregate"),
        key=given.get("key"),
        owner=given["owner"],
        broadcast=broadcast,
        personal=personal,
        subject=given.get("subject"),
        appended=given.get("appended", False),
    )


def _priority(given: Any, faults: _Faults) -> Priority | None:
    try:
        return Priority.from_label(given)
    except ValueError:
        labels = ", ".join(priority.label for priority in Priority)
        faults.add(f"{_ATTRIBUTE}.priority", f"is {given!r}", f"use one of {labels}")
        return None


def _broadcast(given: Any, faults: _Faults) -> Broadcast | None:
    if given is None:
        return None
    path = f"{_ATTRIBUTE}.broadcast"
    if not isinstance(given, dict) or given.keys() - _MAY_BE_SHOWN != {"rules", "fields"}:
        faults.add(path, "has not exactly rules and fields", "give both, or remove it")
        return None
    rules = _words(given["rules"], f"{path}.rules", faults)
    for rule in rules:
        if rule not in RULES:
            faults.add(f"{path}.rules", f"{rule!r} is no rule", f"use {', '.join(RULES)}")
    compressible = given.get("compressible", False)
    if not isinstance(compressible, bool):
        faults.add(f"{path}.compressible", "is neither true nor false", "use true or false")
    return Broadcast(
        rules=rules,
        fields=_words(given["fields"], f"{path}.fields", faults),
        personal=_words(given.get("personal", []), f"{path}.personal", faults),
        compressible=compressible,
    )


def _words(given: Any, path: str, faults: _Faults) -> tuple[str, ...]:
    if not isinstance(given, list) or not all(isinstance(word, str) for word in given):
        faults.add(path, "is no list of words", "give a list, which may be empty")
        return ()
    return tuple(given)
