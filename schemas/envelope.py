"""The envelope: what every event says about itself, whatever its data is."""

from collections.abc import Mapping
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple, Self


class Category(StrEnum):
    """Which part of the world an event is about; the second word of its topic."""

    DOMAIN = "domain"
    SYSTEM = "system"
    INTEGRATION = "integration"
    UI = "ui"
    PLUGIN = "plugin"


class Priority(IntEnum):
    """How soon an event is worked on; less is sooner."""

    CRITICAL = 0
    HIGH = 1
    NORMAL = 2
    LOW = 3

    @property
    def label(self) -> str:
        """The word in topic names and schema files, such as `critical`."""
        return self.name.lower()

    @classmethod
    def from_label(cls, label: str) -> Self:
        """The priority of a word such as `low`. Raises ValueError."""
        for priority in cls:
            if priority.label == label:
                return priority
        raise ValueError(f"{label!r} is no priority, only {', '.join(p.label for p in cls)}")


class Aggregate(NamedTuple):
    """The thing that an event is about.

    `version` counts its events from 1 when they are appended.
    """

    type: str
    id: str
    version: int | None = None


NO_EXTRA: Final[Mapping[str, str]] = MappingProxyType({})


class Metadata(NamedTuple):
    """What travels with an event without being part of what happened."""

    user_id: str | None = None
    trace_id: str | None = None
    retry_count: int | None = None
    extra: Mapping[str, str] = NO_EXTRA


NO_METADATA: Final = Metadata()


class Envelope(NamedTuple):
    """All of an event but its data.

    `version` is the schema version, `timestamp_ms` UTC since 1970.
    """

    id: str
    type: str
    category: Category
    priority: Priority
    version: str
    timestamp_ms: int
    source: str
    correlation_id: str | None = None
    causation_id: str | None = None
    aggregate: Aggregate | None = None
    metadata: Metadata = NO_METADATA
