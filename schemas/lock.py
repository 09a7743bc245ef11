"""The lock: which schemas were released, with which ids.

A released file never changes; pure but for reading.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from schemas.composition import WriterSchema
from schemas.errors import Fault
from schemas.source import SourceSchema, normalised, version_key

LOCK_FILE: Final = "lock.json"

_RESTORE: Final = "restore the file and add a new version instead"
_GENERATE: Final = "run `wundr schemas generate`"


@dataclass(frozen=True, slots=True, kw_only=True)
class LockEntry:
    """One released schema.

    `sha256` is of the composed, `source_sha256` of the hand-written schema without `appended`,
    which may be added later and never be taken away: its events have versions from then on; and
    without `broadcast.compressible`, which changes no event.
    """

    type: str
    version: str
    id: int
    sha256: str
    source_sha256: str
    appended: bool = False

    def as_mapping(self) -> Mapping[str, Any]:
        """What stands in the file: `appended` where it is so."""
        return {name: value for name, value in asdict(self).items() if value is not False}

    def follows(self, released: "LockEntry") -> bool:
        """Whether this is what was released, published before and appended now at most."""
        return released in (self, replace(self, appended=False))


Lock = Mapping[tuple[str, str], LockEntry]
"""Entries by type and version."""


def lock_entry(source: SourceSchema, writer: WriterSchema) -> LockEntry:
    """What the lock says of a schema."""
    return LockEntry(
        type=writer.type,
        version=writer.version,
        id=writer.id,
        sha256=_digest(writer.composed_json),
        source_sha256=_digest(_without_what_may_change(source.text)),
        appended=source.attributes.appended,
    )


def read_lock(path: Path) -> tuple[Lock | None, list[Fault]]:
    """The lock at `path`; None when there is no such file."""
    if not path.exists():
        return None, []
    try:
        entries = [LockEntry(**entry) for entry in json.loads(path.read_text())["schemas"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        fault = Fault(
            file=path.name,
            path="",
            problem=f"cannot be read ({error})",
            remedy="restore it from version control",
        )
        return None, [fault]
    return {(entry.type, entry.version): entry for entry in entries}, []


def lock_text(entries: Iterable[LockEntry]) -> str:
    """The lock file with these entries."""
    ordered = sorted(entries, key=lambda entry: (entry.type, version_key(entry.version)))
    return json.dumps({"schemas": [entry.as_mapping() for entry in ordered]}, indent=2) + "\n"


def changed_releases(lock: Lock, current: Iterable[tuple[str, LockEntry]]) -> list[Fault]:
    """Released schemas that are missing or not what they were.

    `current` pairs files with entries.
    """
    by_key = {(entry.type, entry.version): (file, entry) for file, entry in current}
    faults = []
    for key, released in lock.items():
        if key not in by_key:
            problem = f"{released.type} {released.version} is released, but its file is gone"
            faults.append(Fault(file=LOCK_FILE, path="", problem=problem, remedy=_RESTORE))
            continue
        file, entry = by_key[key]
        if not entry.follows(released):
            problem = f"differs from what was released as id {released.id}"
            faults.append(Fault(file=file, path="", problem=problem, remedy=_RESTORE))
    return faults


def unlocked(lock: Lock, current: Iterable[tuple[str, LockEntry]]) -> list[Fault]:
    """Schemas that are not in the lock yet."""
    return [
        Fault(file=file, path="", problem="is not in the lock yet", remedy=_GENERATE)
        for file, entry in current
        if (entry.type, entry.version) not in lock
    ]


def colliding_ids(current: Iterable[tuple[str, LockEntry]]) -> list[Fault]:
    """Different schemas that hash to one id."""
    seen: dict[int, str] = {}
    faults = []
    for file, entry in current:
        first = seen.setdefault(entry.id, file)
        if first != file:
            problem = f"has the same id {entry.id} as {first}"
            remedy = "change a doc of the newer file: its id then differs"
            faults.append(Fault(file=file, path="", problem=problem, remedy=remedy))
    return faults


def _without_what_may_change(text: str) -> str:
    schema = json.loads(text)
    schema["wundr"].pop("appended", None)
    (schema["wundr"].get("broadcast") or {}).pop("compressible", None)
    return normalised(schema)


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()
