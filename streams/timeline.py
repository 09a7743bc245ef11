"""The course of an event: what is known of it and of all that it brought about. Pure.

Put together from what is kept, never from samples: stored events and their causes, places in
topics, failures, broadcasts, and how far the groups have come.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from schemas.event import Event
from schemas.identity import derived_id

LIKELY_ORDINALS: Final = 64
"""So many events of one handler and cause are told by their ids alone."""


class Stage(StrEnum):
    """What can happen to an event, in the order in which it does."""

    PUBLISHED = "published"
    """It stands in a topic of `events.*`."""
    ARCHIVED = "archived"
    """It stands in `store.events`."""
    STORED = "stored"
    """The sink has written it."""
    HANDLED = "handled"
    """A handler is done with it: the group's committed offset lies behind it."""
    PROJECTED = "projected"
    """A projection has folded it."""
    SAGA = "saga"
    """A saga has taken it in."""
    PENDING = "pending"
    """A handler or projection has not come to it yet."""
    RETRY = "retry"
    """It waits for another try."""
    DEAD_LETTER = "dead letter"
    """It is parked."""
    LEFT = "left"
    """It left the retries (done, or parked then) or the dead letters (redriven or dropped)."""
    SHOWN = "shown"
    """It was broadcast to a room of browsers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """One thing that is known of an event.

    `subject` says by whom or where, `detail` what there is to say beside it, `at_ms` when
    (milliseconds since 1970), None where nobody wrote that down.
    """

    event_id: str
    stage: Stage
    subject: str
    detail: str = ""
    at_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence:
    """An event, who emitted it (`app/handler`, None for a root), what happened to it."""

    event: Event[Any]
    emitted_by: str | None
    sightings: Sequence[Sighting]
    effects: "Sequence[Occurrence]" = ()

    def walk(self, depth: int = 0) -> "Iterator[tuple[int, Occurrence]]":
        """This one and all below it with their depths, causes first."""
        waiting = [(depth, self)]
        while waiting:
            at, occurrence = waiting.pop()
            yield at, occurrence
            waiting += [(at + 1, effect) for effect in reversed(occurrence.effects)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """All occurrences below the first known cause. `asked` is the event that was asked for.

    `unsearched` says where nobody looked, so what is missing there may have happened.
    """

    asked: str
    roots: Sequence[Occurrence]
    unsearched: Sequence[str] = ()

    @property
    def began_ms(self) -> int:
        """When the first event happened."""
        return min(it.event.timestamp_ms for root in self.roots for _, it in root.walk())

    def occurrences(self) -> Iterator[tuple[int, Occurrence]]:
        """All of them with their depths, causes first."""
        for root in self.roots:
            yield from root.walk()


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What was found out. `emitters`: who emitted an event, where a header says so."""

    sightings: Sequence[Sighting] = ()
    emitters: Mapping[str, str] = field(default_factory=dict)
    names: Sequence[tuple[str, str]] = ()
    """Apps and handlers that are known: they tell who emitted what, where no header does."""
    unsearched: Sequence[str] = ()


def timeline(events: Sequence[Event[Any]], asked: str, evidence: Evidence) -> Timeline:
    """The causation tree of `asked`, in the order of `streams.causation`, as occurrences."""
    by_id = {event.id: event for event in events}
    caused: defaultdict[str, list[Event[Any]]] = defaultdict(list)
    roots = []
    for event in events:
        if event.causation_id in by_id and event.causation_id != event.id:
            caused[str(event.causation_id)].append(event)
        else:
            roots.append(event)
    seen: defaultdict[str, list[Sighting]] = defaultdict(list)
    for sighting in evidence.sightings:
        seen[sighting.event_id].append(sighting)

    def occurrence(event: Event[Any], effects: Sequence[Occurrence]) -> Occurrence:
        return Occurrence(
            event=event,
            emitted_by=evidence.emitters.get(event.id)
            or emitter_of(event, by_id.get(event.causation_id or ""), evidence.names),
            sightings=sorted(seen[event.id], key=_order),
            effects=effects,
        )

    # Who led to himself, which only a mistaken producer can say, has no root: then any will do.
    found = [_grown(event, caused, occurrence) for event in roots or events[:1]]
    return Timeline(asked=asked, roots=found, unsearched=evidence.unsearched)


def _grown(
    root: Event[Any],
    caused: Mapping[str, Sequence[Event[Any]]],
    occurrence: Callable[[Event[Any], Sequence[Occurrence]], Occurrence],
) -> Occurrence:
    """The tree below a root, without calling itself: a chain may be thousands of events long."""
    path: list[tuple[Event[Any], Iterator[Event[Any]], list[Occurrence]]] = []
    above: set[str] = set()
    effect: Event[Any] | None = root
    while True:
        if effect is not None:
            path.append((effect, iter(caused.get(effect.id, ())), []))
            above.add(effect.id)
        event, below, effects = path[-1]
        effect = next((it for it in below if it.id not in above), None)
        if effect is None:
            path.pop()
            above.discard(event.id)
            whole = occurrence(event, effects)
            if not path:
                return whole
            path[-1][2].append(whole)


def emitter_of(
    event: Event[Any], cause: Event[Any] | None, names: Iterable[tuple[str, str]]
) -> str | None:
    """Who emitted an event, told by its id: it follows from cause, app, handler and ordinal."""
    if cause is None:
        return None
    for app, handler in names:
        for ordinal in range(LIKELY_ORDINALS):
            if derived_id(cause.id, app, handler, ordinal, cause.timestamp_ms) == event.id:
                return f"{app}/{handler}"
    return None


_STAGES: Final = list(Stage)


def _order(sighting: Sighting) -> tuple[int, int, int, str]:
    """By time; what has none comes behind, in the order of the stages."""
    at = sighting.at_ms
    return at is None, at or 0, _STAGES.index(sighting.stage), sighting.subject
