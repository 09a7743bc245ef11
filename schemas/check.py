"""Every rule of the schema files in one call: nobody corrects one fault to meet the next."""

from pathlib import Path

from schemas.catalog import PACKAGED
from schemas.class_source import UnsupportedType
from schemas.compatibility import incompatibilities
from schemas.errors import CatalogFault, Fault
from schemas.generation import changes
from schemas.lint import lint
from schemas.source import read_sources
from schemas.upcast import upcast_faults


def rule_faults(package: Path = PACKAGED.parent) -> list[Fault]:
    """What is wrong with the hand-written files themselves."""
    sources, faults = read_sources(package / PACKAGED.name)
    return faults + lint(sources) + incompatibilities(sources) + upcast_faults(sources)


def all_faults(package: Path = PACKAGED.parent) -> list[Fault]:
    """The faults of the rules, and whatever the lock or a generated file says otherwise."""
    faults = rule_faults(package)
    try:
        stale = changes(package).names
    except CatalogFault as refused:
        return faults + [fault for fault in refused.faults if fault not in faults]
    except UnsupportedType as refused:
        problem = f"has no Python class ({refused})"
        return [*faults, Fault(file="avro", path="", problem=problem, remedy="use another type")]
    return faults + [
        Fault(
            file=name,
            path="",
            problem="is not what the schema files say",
            remedy="run `wundr schemas generate`",
        )
        for name in stale
    ]
