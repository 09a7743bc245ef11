"""Who is done with an event, told by how far each group has committed. Pure.

A committed offset is never above unfinished work: an event below it was handled, or was put aside.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from schemas.event import Event
from streams.app import App
from streams.handler import Reaction
from streams.projection import KeptIn
from streams.records import Origin, TopicPartition
from streams.timeline import Sighting, Stage
from streams.workload import Workload

Committed = Mapping[str, Mapping[TopicPartition, int]]
"""Committed offsets by consumer group."""

Checkpoints = Mapping[tuple[str, str], Mapping[int, int]]
"""By app and projection: up to where the rows that are read are folded, by partition."""


@dataclass(frozen=True, slots=True)
class Placed:
    """An event and a place of it in a topic."""

    event: Event[Any]
    place: Origin


class KnownSaga(NamedTuple):
    """A saga of an app: it has a subscription of its own, and takes the types it names."""

    app: str
    name: str
    types: frozenset[str]

    @property
    def subscription(self) -> str:
        """Part of its group's name and of the ids of what it emits; its handlers' name, too."""
        return f"saga-{self.name}"

    @property
    def group(self) -> str:
        """The consumer group."""
        return f"{self.app}.{self.subscription}"


def groups_of(apps: Collection[App]) -> list[str]:
    """The consumer groups of all subscriptions."""
    groups = [work.group for work in workloads_of(apps)]
    groups += [saga.group for app in apps for saga in sagas_of(app)]
    return list(dict.fromkeys(groups))


def workloads_of(apps: Iterable[App]) -> list[Workload]:
    """What all subscriptions of the apps work on."""
    return [app.workload(name) for app in apps for name in app.subscriptions()]


def names_of(apps: Collection[App]) -> list[tuple[str, str]]:
    """App and name of all that emits events."""
    found = [(work.app, it.name) for work in workloads_of(apps) for it in work.reactions]
    return found + [(app.name, saga.subscription) for app in apps for saga in sagas_of(app)]


def sagas_of(app: App) -> tuple[KnownSaga, ...]:
    """The sagas of an app."""
    return tuple(
        KnownSaga(
            app.name,
            saga.name,
            frozenset(it.event_type for it in (*saga.started_by, *saga.continued_by)),
        )
        for saga in app.sagas
    )


def progress_sightings(
    placed: Iterable[Placed],
    apps: Collection[App],
    committed: Committed,
    failed: Collection[tuple[str, str, str]] = (),
) -> Iterator[Sighting]:
    """Who is done with each event, and who has not come to it.

    `failed` has event id, group and handler of what is waiting or parked: that is not done.
    """
    for it in placed:
        for group, name, stage in _takers(apps, it.event):
            if (it.event.id, group, name) in failed:
                continue
            offset = committed.get(group, {}).get(it.place.source)
            is_passed = offset is not None and offset > it.place.offset
            yield Sighting(
                event_id=it.event.id,
                stage=stage if is_passed else Stage.PENDING,
                subject=f"{group}/{name}",
                detail="" if is_passed else _behind(offset, it.place),
            )


def row_sightings(
    archived: Iterable[Placed], apps: Collection[App], checkpoints: Checkpoints
) -> Iterator[Sighting]:
    """Whose rows in Postgres hold each event; `archived` are places in the store's topic."""
    kept = [
        (app.name, projection)
        for app in apps
        for projection in app.projections_in(KeptIn.POSTGRES)
        if (app.name, projection.name) in checkpoints
    ]
    for it in archived:
        for app_name, projection in kept:
            if not projection.wants(it.event.type):
                continue
            following = checkpoints[app_name, projection.name].get(it.place.partition, 0)
            is_passed = following > it.place.offset
            yield Sighting(
                event_id=it.event.id,
                stage=Stage.PROJECTED if is_passed else Stage.PENDING,
                subject=f"{app_name}/{projection.name}",
                detail="rows" if is_passed else f"its rows are at offset {following} of the store",
            )


def _takers(apps: Collection[App], event: Event[Any]) -> Iterator[tuple[str, str, Stage]]:
    """Group and name of all that takes an event, and what it is then."""
    for work in workloads_of(apps):
        for reaction in work.reactions:
            if reaction.wants(event.type) and may_take(reaction, event):
                yield work.group, reaction.name, Stage.HANDLED
        # Rows in Postgres have checkpoints of their own, and no consumer group.
        for projection in work.projections:
            if projection.wants(event.type) and projection.kept_in is KeptIn.TABLE:
                yield work.group, projection.name, Stage.PROJECTED
    for saga in (saga for app in apps for saga in sagas_of(app)):
        if event.type in saga.types:
            yield saga.group, saga.subscription, Stage.SAGA


def may_take(reaction: Reaction, event: Event[Any]) -> bool:
    """Whether the handler would take the event; one whose predicate raises has tried it."""
    try:
        return reaction.can_handle(event)
    except Exception:  # noqa: BLE001  # a team's code: its failure is an outcome of the event
        return True


def _behind(committed: int | None, place: Origin) -> str:
    if committed is None:
        return "the group has committed nothing there"
    return f"the group is at offset {committed}, the event at {place.offset}"
