"""Fewer events for the same state: a run of compressible events becomes one. Pure.

A run holds events of one aggregate and one type that follow each other without an event of the same
aggregate in between, and that the same people may see. It comes out before the next event of its
aggregate that is not compressible; what is left comes out at the end, aggregates in the order in
which they first appeared. All other events keep their order.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from schemas.broadcast import rooms
from schemas.catalog import Catalog, EventType
from schemas.envelope import Envelope, Metadata, Priority
from schemas.errors import InvalidEventData
from schemas.event import Event
from schemas.events import DATA_TYPES
from schemas.identity import merged_id
from schemas.validation import compile_check
from streams.errors import MergeFailed, NotCompressible

COMPRESSED_FROM: Final = "compressed_from"
"""Key in a merged event's metadata: how many events it stands for."""

COMPRESSED_FIRST: Final = "compressed_first"
"""Key in a merged event's metadata: the id of the first of them."""

COMPRESSED_LAST: Final = "compressed_last"
"""Key in a merged event's metadata: the id of the last of them."""

Merge = Callable[[Mapping[str, Any], Mapping[str, Any]], Mapping[str, Any]]
"""From the wire mappings of an earlier and a later event that of one for both; changes neither."""

Run = tuple[Event[Any], ...]
"""Events that become one, in their order; one that stays alone is a run of one."""


def later_wins(earlier: Mapping[str, Any], later: Mapping[str, Any]) -> Mapping[str, Any]:
    """Every field as the later event has it; a null clears."""
    return {**earlier, **later}


def later_value_wins(earlier: Mapping[str, Any], later: Mapping[str, Any]) -> Mapping[str, Any]:
    """Every field as the last event that has a value for it; a null says nothing."""
    return {**earlier, **{name: value for name, value in later.items() if value is not None}}


class EventCompressor:
    """Merges runs of the declared types: by event type, how two of its events become one.

    Raises UnknownEventType, and NotCompressible for a type that is CRITICAL, appended, or about no
    aggregate.
    """

    def __init__(self, catalog: Catalog, merges: Mapping[str, Merge]) -> None:
        self._catalog = catalog
        self._merges = dict(merges)
        self._types = {name: _compressible(catalog.get(name)) for name in merges}
        self._checks: dict[tuple[str, str], Callable[[Mapping[str, Any]], dict[str, Any]]] = {}

    def compress(self, events: Iterable[Event[Any]]) -> list[Event[Any]]:
        """The events with each run merged; doing it again changes nothing. Raises MergeFailed."""
        return [self.merged(run) for run in self.runs(events)]

    def runs(self, events: Iterable[Event[Any]]) -> list[Run]:
        """The events in the order in which they come out, those that become one together.

        An event that is in its run already, by its id, counts once.
        """
        runs: list[Run] = []
        unfinished: dict[tuple[str, str], list[_Unfinished]] = {}
        for event in events:
            if event.aggregate is None:
                runs.append((event,))
                continue
            aggregate = (event.aggregate.type, event.aggregate.id)
            trait = self._trait(event)
            if trait is None:
                runs += [run.finished for run in unfinished.pop(aggregate, ())]
                runs.append((event,))
            else:
                _take_in(unfinished.setdefault(aggregate, []), trait, event)
        runs += [run.finished for left in unfinished.values() for run in left]
        return runs

    def merged(self, run: Run) -> Event[Any]:
        """One event for a run; the event itself when it is alone.

        It has the time of the last, an id that follows from theirs, and of correlation, causation
        and metadata what all agree on. Raises MergeFailed.
        """
        if len(run) == 1:
            return run[0]
        trait = self._trait(run[0])
        assert trait is not None  # only events with a trait are in a run of several
        payload = self._payload(run, trait)
        data_type = DATA_TYPES.get((trait.type, trait.version))
        data = payload if data_type is None else data_type.from_wire(payload)
        event: Event[Any] = Event(_envelope(run, trait.version), data)
        if self._trait(event) != trait:
            raise MergeFailed(trait.type, [one.id for one in run], "others may see what it gives")
        return event

    def _payload(self, run: Run, trait: "_Trait") -> Mapping[str, Any]:
        merge = self._merges[trait.type]
        try:
            payload = run[0].payload
            for event in run[1:]:
                payload = merge(payload, event.payload)
            return self._check(trait)(payload)
        except Exception as error:  # whatever a team's function raises
            problem = str(error) if isinstance(error, InvalidEventData) else repr(error)
            raise MergeFailed(trait.type, [one.id for one in run], problem) from error

    def _check(self, trait: "_Trait") -> Callable[[Mapping[str, Any]], dict[str, Any]]:
        schema = (trait.type, trait.version)
        if schema not in self._checks:
            record = self._catalog.writer_schema(*schema).data_record()
            self._checks[schema] = compile_check(record)
        return self._checks[schema]

    def _trait(self, event: Event[Any]) -> "_Trait | None":
        """What the events of a run share; None when this one is not compressible."""
        known = self._types.get(event.type)
        aggregate = event.aggregate
        if known is None or event.priority is Priority.CRITICAL or aggregate is None:
            return None
        version = self._data_version(event)
        if version is None or aggregate.version is not None:
            return None
        return _Trait(
            type=event.type,
            version=version,
            topic=event.topic,
            source=event.source,
            user_id=event.metadata.user_id,
            rooms=rooms(event, known),
            subject=event.payload.get(known.subject) if known.subject else None,
        )

    def _data_version(self, event: Event[Any]) -> str | None:
        """The schema version that the event's data are in: one that was read has a newer one."""
        if event.framed is None:
            return event.version if event.version in self._types[event.type].versions else None
        return self._catalog.reader_version(event.type, event.version)


class _Trait(NamedTuple):
    """What two events must share to become one: what they are, and who may see them.

    `subject` is whose personal data they hold: one person's are never sealed with another's key.
    """

    type: str
    version: str
    topic: str
    source: str
    user_id: str | None
    rooms: tuple[str, ...]
    subject: Any


@dataclass(slots=True, kw_only=True)
class _Unfinished:
    """A run that may still grow."""

    trait: _Trait
    events: dict[str, Event[Any]] = field(default_factory=dict)

    @property
    def finished(self) -> Run:
        return tuple(self.events.values())


def _take_in(runs: list[_Unfinished], trait: _Trait, event: Event[Any]) -> None:
    """Put a compressible event behind the others of its aggregate."""
    if not runs or runs[-1].trait != trait:
        runs.append(_Unfinished(trait=trait))
    runs[-1].events.setdefault(event.id, event)


def _compressible(known: EventType) -> EventType:
    if known.priority is Priority.CRITICAL:
        raise NotCompressible(known.name, "it is CRITICAL: each of its events counts")
    if known.appended:
        raise NotCompressible(known.name, "it is appended: each of its events is a version")
    if known.aggregate_type is None:
        raise NotCompressible(known.name, "it is about no aggregate whose state it could be")
    return known


def _envelope(run: Run, version: str) -> Envelope:
    last = run[-1]
    ids = [event.id for event in run]
    return last.envelope._replace(
        id=merged_id(ids, last.timestamp_ms),
        version=version,
        correlation_id=_agreed(event.correlation_id for event in run),
        causation_id=_agreed(event.causation_id for event in run),
        metadata=_metadata(run),
    )


def _metadata(run: Run) -> Metadata:
    given = [event.metadata for event in run]
    extra = {
        name: value
        for name, value in given[0].extra.items()
        if all(metadata.extra.get(name) == value for metadata in given)
    }
    extra[COMPRESSED_FROM] = str(sum(map(_stands_for, given)))
    extra[COMPRESSED_FIRST] = given[0].extra.get(COMPRESSED_FIRST, run[0].id)
    extra[COMPRESSED_LAST] = given[-1].extra.get(COMPRESSED_LAST, run[-1].id)
    return Metadata(
        user_id=given[0].user_id,
        trace_id=_agreed(metadata.trace_id for metadata in given),
        retry_count=None,
        extra=MappingProxyType(extra),
    )


def _stands_for(metadata: Metadata) -> int:
    """How many events an event with this metadata was made of."""
    count = metadata.extra.get(COMPRESSED_FROM, "")
    return int(count) if count.isascii() and count.isdecimal() else 1


def _agreed(values: Iterable[str | None]) -> str | None:
    """The value that all of them have; None where they differ."""
    first, *others = values
    return first if all(other == first for other in others) else None


def standing_for(runs: Sequence[Run]) -> dict[str, int]:
    """By event id, the place of the run that holds it."""
    return {event.id: place for place, run in enumerate(runs) for event in run}
