"""Schema drift: files against rules and lock, this release against `wundr.schemas`. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from infra.finding import Finding
from schemas.catalog import Catalog, WriterSchema
from schemas.errors import Fault

CHECK: Final = "schemas"


def file_findings(faults: Sequence[Fault]) -> Iterator[Finding]:
    """What `wundr schemas check` would say."""
    if faults:
        yield Finding(
            check=CHECK,
            message=f"{len(faults)} faults in the schema files, first {faults[0]}",
            remedy="wundr schemas check",
        )


def announced_findings(catalog: Catalog, announced: Iterable[WriterSchema]) -> Iterator[Finding]:
    """What producers announced against what this release has."""
    ours = {(it.type, it.version): it.id for it in catalog.schema_ids().values()}
    others = [it for it in announced if it.id not in catalog.schema_ids()]
    drifted = [it for it in others if (it.type, it.version) in ours]
    for schema in drifted:
        yield Finding(
            check=CHECK,
            message=f"{schema.type} {schema.version} was announced as schema {schema.id}, this "
            f"release has {ours[schema.type, schema.version]}: two releases of one version",
            remedy="give one of them a new version: restore the released file, then "
            "wundr schemas generate",
        )
    newer = sorted({f"{it.type} {it.version}" for it in others} - {_name(it) for it in drifted})
    if newer:
        yield Finding(
            check=CHECK,
            message=f"producers of other releases write {', '.join(newer)}: read by what they "
            "announced",
        )
    if not others:
        yield Finding(check=CHECK, message="files, lock and wundr.schemas agree")


def _name(schema: WriterSchema) -> str:
    return f"{schema.type} {schema.version}"
