"""The catalog: every event type that this installation knows, with all versions of its schema.

Read from the hand-written files, held against the lock. Either all of it is right or it is refused
with all faults.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final, Self

from schemas.composition import WriterSchema, compose
from schemas.envelope import Category, Priority
from schemas.errors import (
    CatalogFault,
    LockMismatch,
    UnknownEventType,
    UnknownSchemaVersion,
)
from schemas.lock import (
    LOCK_FILE,
    changed_releases,
    colliding_ids,
    lock_entry,
    read_lock,
    unlocked,
)
from schemas.pattern import EVERY_TYPE, matches, validate_pattern
from schemas.source import Broadcast, SourceSchema, major_of, read_sources, version_key
from schemas.topics import all_events_topics, events_topic
from schemas.upcasts import NO_UPCASTS, UPCASTS, Upcast, UpcastKey

__all__ = ["PACKAGED", "Broadcast", "Catalog", "EventType", "WriterSchema"]

PACKAGED: Final = Path(__file__).parent / "avro"
"""The hand-written files that come with the platform; the lock lies beside the folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventType:
    """One event type. `broadcast` is None when no browser sees it; `personal` names data fields.

    `subject` names the field that says whose they are; None where they are not encrypted. `key` is
    the field of the data that holds the aggregate's id; `appended` says who counts aggregate
    versions.
    """

    name: str
    category: Category
    priority: Priority
    aggregate_type: str | None
    owner: str
    broadcast: Broadcast | None
    personal: tuple[str, ...]
    key: str | None
    versions: tuple[str, ...]
    latest: str
    appended: bool = False
    subject: str | None = None

    @property
    def topic(self) -> str:
        """Where its events go."""
        return events_topic(self.category, self.priority)


class Catalog:
    """Immutable. Build it with `load`. `upcasts` are what leads from one major to the next."""

    def __init__(
        self,
        sources: Iterable[SourceSchema],
        upcasts: Mapping[UpcastKey, Upcast] = NO_UPCASTS,
    ) -> None:
        self.upcasts = upcasts
        by_type: dict[str, list[SourceSchema]] = defaultdict(list)
        for source in sources:
            by_type[source.type].append(source)
        self._types = {name: _event_type(known) for name, known in sorted(by_type.items())}
        self._schemas = {
            (source.type, source.version): compose(source)
            for known in by_type.values()
            for source in known
        }
        self._by_id = MappingProxyType({schema.id: schema for schema in self._schemas.values()})

    @classmethod
    def load(cls, root: Path = PACKAGED, upcasts: Mapping[UpcastKey, Upcast] = UPCASTS) -> Self:
        """Read all files below `root` and hold them against `lock.json` beside it, if there is one.

        Raises CatalogFault with every fault, LockMismatch when the lock alone disagrees.
        """
        sources, faults = read_sources(root)
        current = [(source.file, lock_entry(source, compose(source))) for source in sources]
        faults += colliding_ids(current)
        lock, lock_faults = read_lock(root.parent / LOCK_FILE)
        if lock is not None:
            lock_faults += changed_releases(lock, current) + unlocked(lock, current)
        if faults:
            raise CatalogFault([*faults, *lock_faults])
        if lock_faults:
            raise LockMismatch(lock_faults)
        return cls(sources, upcasts)

    def get(self, event_type: str) -> EventType:
        """What is known of a type. Raises UnknownEventType."""
        try:
            return self._types[event_type]
        except KeyError:
            raise UnknownEventType(event_type) from None

    def types(self) -> tuple[EventType, ...]:
        """All types by name."""
        return tuple(self._types.values())

    def matching(self, pattern: str) -> tuple[EventType, ...]:
        """The types that fall under a pattern. Raises InvalidPattern."""
        validate_pattern(pattern)
        return tuple(known for known in self.types() if matches(pattern, known.name))

    def topics_for(self, patterns: Iterable[str]) -> tuple[str, ...]:
        """The `events.*` topics in which types under any of the patterns can occur, by name.

        For `*` that is every topic: a type of tomorrow may be the first in its own.
        """
        wanted = tuple(patterns)
        if EVERY_TYPE in wanted:
            return tuple(sorted(all_events_topics()))
        return tuple(
            sorted({known.topic for pattern in wanted for known in self.matching(pattern)})
        )

    def writer_schema(self, event_type: str, version: str) -> WriterSchema:
        """The composed schema of one version. Raises UnknownEventType or UnknownSchemaVersion."""
        known = self.get(event_type)
        try:
            return self._schemas[event_type, version]
        except KeyError:
            raise UnknownSchemaVersion(event_type, version, known.versions) from None

    def reader_version(self, event_type: str, written: str) -> str | None:
        """The version that data is read as.

        The latest known one of the same major, None without one.
        """
        known = self._types.get(event_type)
        same_major = [
            version
            for version in (known.versions if known else ())
            if major_of(version) == major_of(written)
        ]
        return same_major[-1] if same_major else None

    def schema_ids(self) -> Mapping[int, WriterSchema]:
        """Every composed schema of the catalog by its id."""
        return self._by_id


def _event_type(sources: list[SourceSchema]) -> EventType:
    """The type as its latest version describes it."""
    ordered = sorted(sources, key=lambda source: version_key(source.version))
    latest = ordered[-1]
    attributes = latest.attributes
    return EventType(
        name=latest.type,
        category=latest.category,
        priority=attributes.priority,
        aggregate_type=attributes.aggregate,
        owner=attributes.owner,
        broadcast=attributes.broadcast,
        personal=attributes.personal,
        key=attributes.key,
        versions=tuple(source.version for source in ordered),
        latest=latest.version,
        appended=attributes.appended,
        subject=attributes.subject,
    )
