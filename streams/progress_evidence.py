"""Who is done with an event, told by how far each group has committed. Pure.

A committed offset is never above unfinished work: an event below it was handled, or was put aside.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from schemas.event import Event
from streams.app import App
from streams.handler import Reaction
from streams.projection import KeptIn
from streams.records import Origin, TopicPartition
from streams.timeline import Sighting, Stage
from streams.workload import Workload

Committed = Mapping[str, Mapping[TopicPartition, int]]
"""Committed offsets by consumer group."""


@dataclass(frozen=True, slots=True)
class Placed:
    """An event and its place in `events.*`."""

    event: Event[Any]
    place: Origin


def groups_of(apps: Iterable[App]) -> list[str]:
    """The consumer groups of all subscriptions."""
    return [work.group for work in workloads_of(apps)]


def workloads_of(apps: Iterable[App]) -> list[Workload]:
    """What all subscriptions of the apps work on."""
    return [app.workload(name) for app in apps for name in app.subscriptions()]


def names_of(apps: Iterable[App]) -> list[tuple[str, str]]:
    """App and name of all that emits events."""
    found = [(work.app, it.name) for work in workloads_of(apps) for it in work.reactions]
    return found + [(app.name, saga.name) for app in apps for saga in sagas_of(app)]


def sagas_of(app: App) -> tuple[Any, ...]:
    """The sagas of an app."""
    return tuple(getattr(app, "sagas", ()))


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
        for work in workloads_of(apps):
            offset = committed.get(work.group, {}).get(it.place.source)
            is_passed = offset is not None and offset > it.place.offset
            for name, stage in _takers(work, apps, it.event):
                if (it.event.id, work.group, name) not in failed:
                    yield Sighting(
                        event_id=it.event.id,
                        stage=stage if is_passed else Stage.PENDING,
                        subject=f"{work.group}/{name}",
                        detail="" if is_passed else _behind(offset, it.place),
                    )


def _takers(
    work: Workload, apps: Collection[App], event: Event[Any]
) -> Iterator[tuple[str, Stage]]:
    sagas = {saga.name for app in apps if app.name == work.app for saga in sagas_of(app)}
    for reaction in work.reactions:
        if reaction.wants(event.type) and may_take(reaction, event):
            yield reaction.name, Stage.SAGA if reaction.name in sagas else Stage.HANDLED
    for projection in work.projections:
        # Rows in Postgres have checkpoints of their own, and no consumer group.
        if projection.wants(event.type) and projection.kept_in is KeptIn.TABLE:
            yield projection.name, Stage.PROJECTED


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
