"""What schema files must say of personal data: whose they are, in which fields, and who sees them.

Pure: sources in, all faults out.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, Final

from schemas.errors import Fault
from schemas.source import SourceSchema

BEFORE_SUBJECTS: Final = frozenset(
    {
        ("notification.sent", "1.0.0"),
        ("setup.session.started", "1.0.0"),
        ("ui.dashboard.opened", "1.0.0"),
    }
)
"""Released before a subject could be named, so never changed: no browser sees their personal
fields, but they are not encrypted. Their next versions are."""

_SEALABLE: Final = ("string", "bytes")


def personal_faults(source: SourceSchema) -> Iterator[Fault]:
    """What is wrong with the personal fields of one file."""
    attributes = source.attributes
    types = {field["name"]: field["type"] for field in source.record["fields"]}
    for name in attributes.personal:
        if name in types and _plain_type(types[name]) not in _SEALABLE:
            problem = f"{name!r} is neither a string nor bytes, nullable or not"
            yield _fault(source, "wundr.personal", problem, "only these can be encrypted")
    yield from _subject_faults(source, types)
    yield from _shown_faults(source)


def unprotected_later(history: Sequence[SourceSchema]) -> Iterator[Fault]:
    """Personal fields that a later version of the type would write as plain text."""
    for older, newer in pairwise(history):
        fields = {field["name"] for field in newer.record["fields"]}
        lost = set(older.attributes.personal) & fields - set(newer.attributes.personal)
        for name in sorted(lost):
            problem = f"leaves out {name!r}, which is personal in {older.version}"
            yield _fault(newer, "wundr.personal", problem, "keep it personal")


def _subject_faults(source: SourceSchema, types: dict[str, Any]) -> Iterator[Fault]:
    attributes = source.attributes
    path, subject = "wundr.subject", attributes.subject
    if subject is None:
        is_older = (source.type, source.version) in BEFORE_SUBJECTS
        if attributes.personal and not is_older:
            remedy = "name the field that holds the id of the person"
            yield _fault(source, path, "is missing beside personal fields", remedy)
    elif not attributes.personal:
        yield _fault(source, path, "names whose personal data?", "name personal fields, too")
    elif subject not in types:
        yield _fault(source, path, f"{subject!r} is no field of the record", "correct the name")
    elif _plain_type(types[subject]) != "string":
        yield _fault(source, path, f"{subject!r} is no string", "name a field with an id")


def _shown_faults(source: SourceSchema) -> Iterator[Fault]:
    """A personal field in `broadcast.fields` needs a second word for it."""
    broadcast = source.attributes.broadcast
    if broadcast is None:
        return
    personal = set(source.attributes.personal)
    shown = set(broadcast.fields) & personal
    for name in sorted(shown - set(broadcast.personal)):
        remedy = "never show it to a browser, or name it in broadcast.personal, too"
        yield _fault(source, "wundr.broadcast.fields", f"{name!r} is personal", remedy)
    for name in sorted(set(broadcast.personal) - shown):
        problem = f"{name!r} is not both personal and in broadcast.fields"
        yield _fault(source, "wundr.broadcast.personal", problem, "remove it")


def _plain_type(kind: Any) -> Any:
    """The type, of a nullable one the other branch; a logical type is none of the plain ones."""
    if isinstance(kind, list):
        others = [branch for branch in kind if branch != "null"]
        kind = others[0] if len(others) == 1 else None
    if isinstance(kind, dict) and "logicalType" not in kind:
        kind = kind.get("type")
    return kind if isinstance(kind, str) else None


def _fault(source: SourceSchema, path: str, problem: str, remedy: str) -> Fault:
    return Fault(file=source.file, path=path, problem=problem, remedy=remedy)
