"""Names of all topics, and the platform's own topics with their settings.

Pure; nothing is created here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from schemas.envelope import Category, Priority

if TYPE_CHECKING:
    from schemas.catalog import Catalog

STORE_EVENTS: Final = "store.events"
BROADCAST_SYSTEM: Final = "broadcast.system"
BROADCAST_PROJECT: Final = "broadcast.project"
BROADCAST_USER: Final = "broadcast.user"
BROADCAST_TOPICS: Final = (BROADCAST_SYSTEM, BROADCAST_PROJECT, BROADCAST_USER)
SCHEMAS_TOPIC: Final = "wundr.schemas"
CONTROL_TOPIC: Final = "wundr.control"
PLATFORM_APP: Final = "wundr"
"""The name under which the platform's own workers run."""

CHANGELOG_SUFFIX: Final = "-changelog"

DAY_MS: Final = 86_400_000

LARGEST_RECORD: Final = 1_048_588
"""Bytes that `events.*` takes from anybody: the broker's default of `max.message.bytes`."""

HEADER_ROOM: Final = 65_536
"""Bytes that the platform may add to a record when it copies it to another topic."""

LARGEST_COPY: Final = LARGEST_RECORD + HEADER_ROOM
"""Bytes that every topic of copies takes: whatever stands in `events.*` fits, reasons included."""

COPIES: Final = MappingProxyType({"max.message.bytes": str(LARGEST_COPY)})
"""The setting of every topic that holds copies, or tables made from them."""


def events_topic(category: Category, priority: Priority) -> str:
    """The topic of all events of one category and priority."""
    return f"events.{category.value}.{priority.label}"


@cache
def priority_of(topic: str) -> Priority:
    """The priority of a topic's events; NORMAL for topics that hold events of several."""
    label = topic.rpartition(".")[2] if topic.startswith("events.") else ""
    return next((known for known in Priority if known.label == label), Priority.NORMAL)


def all_events_topics() -> tuple[str, ...]:
    """Every `events.*` topic, whether or not a type of the catalog uses it."""
    return tuple(events_topic(category, priority) for category in Category for priority in Priority)


def dead_letter_topic(app: str) -> str:
    """Where the events of an app go that it could not handle."""
    return f"dlq.{app}"


def retry_topic(app: str) -> str:
    """Where the events of an app wait for another try."""
    return f"retry.{app}"


def repartition_topic(app: str, projection: str) -> str:
    """Where events are keyed again by the key of a projection."""
    return f"repartition.{app}.{projection}"


def changelog_topic(app: str, subscription: str, projection: str) -> str:
    """The changelog of a projection, as Faust names it."""
    return f"{app}.{subscription}-{projection}{CHANGELOG_SUFFIX}"


def is_changelog(topic: str) -> bool:
    """Whether a topic keeps a table: whoever recovers it reads it, and no group commits it."""
    return topic.endswith(CHANGELOG_SUFFIX)


@dataclass(frozen=True, slots=True, kw_only=True)
class TopicSpec:
    """A topic as it should be. `config` holds broker settings, `why` one line for the plan."""

    name: str
    partitions: int
    config: Mapping[str, str]
    why: str


def platform_topics(catalog: Catalog, partitions: int) -> tuple[TopicSpec, ...]:
    """The topics that every installation has; those of an app are added by the app."""
    compacted = {"cleanup.policy": "compact"}
    return (
        *(_events_spec(catalog, topic, partitions) for topic in all_events_topics()),
        TopicSpec(
            name=STORE_EVENTS,
            partitions=partitions,
            config={**compacted, **COPIES},
            why="every event once, for ever: the way into the event store",
        ),
        *(
            TopicSpec(
                name=topic,
                partitions=partitions,
                config={"cleanup.policy": "delete", "retention.ms": str(DAY_MS)},
                why="what browsers may see, keyed by room",
            )
            for topic in BROADCAST_TOPICS
        ),
        *failure_topics(PLATFORM_APP, partitions),
        TopicSpec(
            name=SCHEMAS_TOPIC, partitions=1, config=compacted, why="writer schemas by their id"
        ),
        TopicSpec(
            name=CONTROL_TOPIC, partitions=1, config=compacted, why="orders to running processes"
        ),
    )


def failure_topics(app: str, partitions: int) -> tuple[TopicSpec, ...]:
    """Where the failed events of an app are kept.

    The last record of a key is what is true: nothing that waits is lost to a retention time.
    """
    return tuple(
        TopicSpec(
            name=name,
            partitions=partitions,
            config={"cleanup.policy": "compact", **COPIES},
            why=why,
        )
        for name, why in (
            (retry_topic(app), f"failed events of app {app} that wait for another try"),
            (dead_letter_topic(app), f"failed events of app {app} that wait for an order"),
        )
    )


def _events_spec(catalog: Catalog, topic: str, partitions: int) -> TopicSpec:
    types = [known.name for known in catalog.types() if known.topic == topic]
    return TopicSpec(
        name=topic,
        partitions=partitions,
        config={"cleanup.policy": "delete", "retention.ms": str(7 * DAY_MS)},
        why=", ".join(types) or "no type of the catalog yet",
    )
