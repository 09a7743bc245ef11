"""What schema files must say beyond what Avro asks: fields explained, names that exist, one topic.

Pure: sources in, all faults out.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Final

from schemas.envelope import Priority
from schemas.errors import Fault
from schemas.field_lint import field_faults
from schemas.personal_lint import personal_faults, unprotected_later
from schemas.source import SourceSchema, major_of, version_key

PROJECT_FIELD: Final = "projectId"


def lint(sources: Iterable[SourceSchema]) -> list[Fault]:
    """Every fault of these files, alone and between versions and types."""
    ordered = sorted(sources, key=lambda source: (source.type, version_key(source.version)))
    faults: list[Fault] = []
    versions: dict[str, list[SourceSchema]] = defaultdict(list)
    for source in ordered:
        versions[source.type].append(source)
        faults += field_faults(source)
        faults += _reference_faults(source)
        faults += _rule_faults(source)
        faults += _compressible_faults(source)
        faults += personal_faults(source)
    for history in versions.values():
        faults += _history_faults(history)
        faults += unprotected_later(history)
    faults += _name_faults(ordered)
    faults += _appended_faults([history[-1] for history in versions.values()])
    return faults


def _fault(source: SourceSchema, path: str, problem: str, remedy: str) -> Fault:
    return Fault(file=source.file, path=path, problem=problem, remedy=remedy)


def _reference_faults(source: SourceSchema) -> Iterator[Fault]:
    """Names in the `wundr` attribute that are no fields."""
    fields = {field["name"] for field in source.record["fields"]}
    attributes = source.attributes
    shown = attributes.broadcast.fields if attributes.broadcast else ()
    references = [("wundr.personal", name) for name in attributes.personal]
    references += [("wundr.broadcast.fields", name) for name in shown]
    if attributes.key is not None:
        references.append(("wundr.key", attributes.key))
    for path, name in references:
        if name not in fields:
            yield _fault(source, path, f"{name!r} is no field of the record", "correct the name")


def _rule_faults(source: SourceSchema) -> Iterator[Fault]:
    broadcast = source.attributes.broadcast
    if broadcast is None:
        return
    path = "wundr.broadcast.rules"
    if not broadcast.rules:
        yield _fault(source, path, "is empty", "name a rule, or remove `broadcast`")
    if "system" in broadcast.rules and not source.type.startswith("system."):
        yield _fault(source, path, "`system` is for types under `system.`", "remove the rule")
    fields = {field["name"] for field in source.record["fields"]}
    if "project" in broadcast.rules and PROJECT_FIELD not in fields:
        yield _fault(source, path, f"`project` needs the field {PROJECT_FIELD}", "add the field")


def _compressible_faults(source: SourceSchema) -> Iterator[Fault]:
    """What a browser may never be shown the last of alone."""
    attributes = source.attributes
    if attributes.broadcast is None or not attributes.broadcast.compressible:
        return
    path = "wundr.broadcast.compressible"
    reasons = {
        "is for types about an aggregate": attributes.aggregate is None,
        "is not for CRITICAL types: each of their events counts": (
            attributes.priority is Priority.CRITICAL
        ),
        "is not for appended types: each of their events is a version": attributes.appended,
        # In two rooms of one client an event would overtake those that only one room left out.
        "is for types with one rule": len(attributes.broadcast.rules) != 1,
    }
    for problem, is_so in reasons.items():
        if is_so:
            yield _fault(source, path, problem, "remove it")


def _history_faults(history: Sequence[SourceSchema]) -> Iterator[Fault]:
    """What has to stay in all versions of a type: a change would split an aggregate's history."""
    for older, newer in pairwise(history):
        kept = (
            ("category", older.category, newer.category),
            ("wundr.priority", older.attributes.priority, newer.attributes.priority),
            ("wundr.aggregate", older.attributes.aggregate, newer.attributes.aggregate),
            ("wundr.key", older.attributes.key, newer.attributes.key),
            ("wundr.appended", older.attributes.appended, newer.attributes.appended),
        )
        for path, before, after in kept:
            if before != after:
                problem = f"is not as in {older.version}"
                yield _fault(newer, path, problem, "keep it, or make a new event type")
        is_same_major = major_of(older.version) == major_of(newer.version)
        is_same_name = older.record["name"] == newer.record["name"]
        if is_same_major and not is_same_name:
            yield _fault(newer, "name", f"is not that of {older.version}", "keep it within a major")
        if is_same_name and not is_same_major:
            yield _fault(
                newer, "name", f"is still that of {older.version}", "name the new major anew"
            )


def _name_faults(sources: Iterable[SourceSchema]) -> Iterator[Fault]:
    """Record names become class names: within a category no two types share one."""
    owners: dict[tuple[str, str], SourceSchema] = {}
    for source in sources:
        owner = owners.setdefault((source.category, source.record["name"]), source)
        if owner.type != source.type:
            yield _fault(source, "name", f"is that of {owner.file}", "give it a name of its own")


def _appended_faults(latest: Sequence[SourceSchema]) -> Iterator[Fault]:
    """All types of an appended aggregate share a topic: one partition holds its history."""
    owners: dict[str, SourceSchema] = {}
    for source in latest:
        if source.attributes.aggregate is None:
            continue
        owner = owners.setdefault(source.attributes.aggregate, source)
        if not (owner.attributes.appended or source.attributes.appended):
            continue
        mine = (source.category, source.attributes.priority, source.attributes.appended)
        theirs = (owner.category, owner.attributes.priority, owner.attributes.appended)
        if mine != theirs:
            problem = (
                f"shares the appended aggregate {source.attributes.aggregate} with {owner.file}"
            )
            remedy = "give both the same category, priority and `appended`"
            yield _fault(source, "wundr.aggregate", problem, remedy)
