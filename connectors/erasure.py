"""What forgetting a subject reaches, and from when on each place holds nothing readable. Pure."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from schemas.catalog import Catalog, EventType
from schemas.topics import BROADCAST_TOPICS, DAY_MS, STORE_EVENTS, is_changelog

_BESIDE_EVENTS: Final[Mapping[str, tuple[int, str]]] = {
    "repartition.": (7, "events are sealed; keys are as a projection chose them"),
    "retry.": (30, "events are sealed; texts of errors are as a handler wrote them"),
    "dlq.": (30, "events are sealed; texts of errors are as a handler wrote them"),
}
"""Days that these topics are kept, and what may be read in them."""


class Means(StrEnum):
    """How a place becomes clean."""

    DELETED = "deleted"
    """The data were removed."""
    SEALED = "sealed"
    """It holds nothing but ciphertext of the key that is gone."""
    REBUILT = "rebuilt"
    """It was made anew from events that can no longer be read."""
    RETENTION = "retention"
    """It may hold readable text beside ciphertext, until the broker removes it."""
    TO_REBUILD = "to rebuild"
    """It holds what was folded from readable events until somebody builds it anew."""
    NOTHING = "nothing"
    """Nothing personal ever gets there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One place. `clean_at` is UTC; None until somebody has done what `detail` says."""

    name: str
    means: Means
    clean_at: datetime | None
    detail: str

    def as_mapping(self) -> Mapping[str, Any]:
        """For JSON."""
        return {
            "place": self.name,
            "means": self.means.value,
            "clean_at": None if self.clean_at is None else self.clean_at.isoformat(),
            "detail": self.detail,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureReport:
    """Where a subject's data were, and from when on nobody can read them.

    `unprotected` are event types whose personal fields are not encrypted: nothing reaches them.
    """

    forgotten_at: datetime
    places: Sequence[Place]
    unprotected: Sequence[str]

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to do, and no type is out of reach."""
        return not self.unprotected and all(it.clean_at is not None for it in self.places)

    def as_mapping(self) -> Mapping[str, Any]:
        """For JSON; whom it is about is left out, reports are kept."""
        return {
            "forgotten_at": self.forgotten_at.isoformat(),
            "complete": self.is_complete,
            "unprotected": list(self.unprotected),
            "places": [place.as_mapping() for place in self.places],
        }


def protected_types(catalog: Catalog) -> tuple[EventType, ...]:
    """Types whose personal fields are encrypted."""
    return tuple(known for known in catalog.types() if known.subject is not None)


def unprotected_types(catalog: Catalog) -> tuple[str, ...]:
    """Types whose personal fields are not, because none of their versions names a subject."""
    return tuple(known.name for known in catalog.types() if known.personal and not known.subject)


def sealed_places(
    catalog: Catalog, topics: Collection[str], forgotten_at: datetime, settled_at: datetime
) -> list[Place]:
    """The places that need no work: the key's own, and whatever holds ciphertext.

    `settled_at` is when the last process has lost the key from its memory.
    """
    deleted = "the key is deleted, and never made again; its database keeps a digest"
    gone = "processes lose the key from their memory"
    places = [
        Place(name="keys", means=Means.DELETED, clean_at=forgotten_at, detail=deleted),
        Place(name="running processes", means=Means.DELETED, clean_at=settled_at, detail=gone),
    ]
    sealed = {
        "PostgreSQL events": "bytes and the column data, saved command results among them",
        "PostgreSQL outbox": "bytes that wait for the relay",
        STORE_EVENTS: "every event once, for ever",
        **dict.fromkeys(_event_topics(catalog), "events as they were published"),
    }
    places += [
        Place(name=name, means=Means.SEALED, clean_at=settled_at, detail=detail)
        for name, detail in sealed.items()
    ]
    places += _team_places(topics, settled_at)
    places += _broadcast_places(catalog, settled_at)
    return places


def changelog_places(topics: Collection[str]) -> Iterator[Place]:
    """The tables of all apps: only their workers can build them anew."""
    for topic in sorted(filter(is_changelog, topics)):
        yield Place(
            name=topic,
            means=Means.TO_REBUILD,
            clean_at=None,
            detail=(
                "if this table keeps personal data: wundr worker APP --rebuild-tables; "
                "old entries go with compaction"
            ),
        )


def _team_places(topics: Collection[str], settled_at: datetime) -> Iterator[Place]:
    """Topics whose events are sealed, and where the code of a team writes beside them."""
    for prefix, (days, detail) in _BESIDE_EVENTS.items():
        for topic in sorted(topic for topic in topics if topic.startswith(prefix)):
            clean_at = settled_at + timedelta(days=days)
            yield Place(name=topic, means=Means.RETENTION, clean_at=clean_at, detail=detail)


def _broadcast_places(catalog: Catalog, settled_at: datetime) -> Iterator[Place]:
    shows = any(it.broadcast and it.broadcast.personal for it in catalog.types())
    for topic in BROADCAST_TOPICS:
        if shows:
            clean_at = settled_at + timedelta(milliseconds=DAY_MS)
            detail = "what browsers were shown, with the segments of the topic"
            yield Place(name=topic, means=Means.RETENTION, clean_at=clean_at, detail=detail)
        else:
            detail = "no schema shows a personal field to browsers"
            yield Place(name=topic, means=Means.NOTHING, clean_at=settled_at, detail=detail)


def _event_topics(catalog: Catalog) -> list[str]:
    return sorted({known.topic for known in protected_types(catalog)})
