"""What is generated from the hand-written files: composed schemas, the lock, the typed classes.

`planned` is pure; `apply` writes. A released file that was changed is refused before anything is
written.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from schemas import class_source
from schemas.catalog import PACKAGED
from schemas.composition import compose
from schemas.errors import CatalogFault, LockMismatch
from schemas.lock import (
    LOCK_FILE,
    changed_releases,
    colliding_ids,
    lock_entry,
    lock_text,
    read_lock,
)
from schemas.source import SourceSchema, read_sources

_FOLDERS: Final = {"composed": "*.avsc", "events": "*.py"}
"""Folders that hold generated files alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """Files to write and files to remove, relative to the package folder."""

    written: Mapping[str, str]
    removed: Sequence[str]

    @property
    def names(self) -> tuple[str, ...]:
        """Every file that is not as it should be."""
        return tuple(sorted([*self.written, *self.removed]))


def planned(sources: Sequence[SourceSchema]) -> dict[str, str]:
    """Every generated file by its path in the package folder."""
    composed = [(source, compose(source)) for source in sources]
    files = {
        f"composed/{schema.type}/{schema.version}.avsc": schema.composed_json + "\n"
        for _, schema in composed
    }
    files[LOCK_FILE] = lock_text(lock_entry(source, schema) for source, schema in composed)
    files |= {f"events/{name}": text for name, text in class_source.modules(sources).items()}
    return files


def changes(package: Path = PACKAGED.parent) -> Changes:
    """What differs from what should be there.

    Raises CatalogFault when a hand-written file is wrong, LockMismatch when a released one was
    changed.
    """
    sources, faults = read_sources(package / PACKAGED.name)
    current = [(source.file, lock_entry(source, compose(source))) for source in sources]
    lock, lock_faults = read_lock(package / LOCK_FILE)
    faults += colliding_ids(current)
    if faults:
        raise CatalogFault(faults)
    lock_faults += changed_releases(lock or {}, current)
    if lock_faults:
        raise LockMismatch(lock_faults)
    files = planned(sources)
    present = {
        path.relative_to(package).as_posix(): path.read_text(encoding="utf-8")
        for folder, pattern in _FOLDERS.items()
        for path in (package / folder).rglob(pattern)
    }
    if (package / LOCK_FILE).exists():
        present[LOCK_FILE] = (package / LOCK_FILE).read_text(encoding="utf-8")
    return Changes(
        written={name: text for name, text in files.items() if present.get(name) != text},
        removed=sorted(present.keys() - files.keys()),
    )


def apply(found: Changes, package: Path = PACKAGED.parent) -> None:
    """Write and remove what `changes` found."""
    for name, text in found.written.items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    for name in found.removed:
        (package / name).unlink()
