"""The comparison of an audit: events by id, then versions by aggregate. Pure.

Both take everything that concerns some ids, or some aggregates, and nothing else: so the whole is
compared in parts that fit into memory.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, NamedTuple

from connectors.audit import Anomaly, Kind

SHOWN_VERSIONS: Final = 5


class Archived(NamedTuple):
    """A record of `store.events`. `source` is where it was first read: topic/partition."""

    event_id: str
    digest: str
    partition: int
    offset: int
    source: str
    source_offset: int


class Published(NamedTuple):
    """A record of `events.*`; `is_settled`: the archive says that it has taken it."""

    event_id: str
    place: str
    is_settled: bool


class Stored(NamedTuple):
    """A row of `events`; `version` is None for events of published aggregates, or of none."""

    event_id: str
    digest: str
    aggregate: str | None
    version: int | None


class Placed(NamedTuple):
    """A row of `event_positions`."""

    event_id: str
    partition: int
    offset: int


class Versioned(NamedTuple):
    """An event of an appended aggregate, and where it first stood; nowhere if not relayed yet."""

    aggregate: str
    version: int
    event_id: str
    source: str | None
    source_offset: int


@dataclass(slots=True)
class Known:
    """All that is known of one event, by place."""

    archived: list[Archived] = field(default_factory=list)
    published: list[Published] = field(default_factory=list)
    stored: list[Stored] = field(default_factory=list)
    placed: list[Placed] = field(default_factory=list)
    is_in_outbox: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What the comparison of some ids came to."""

    events: int
    in_flight: int
    anomalies: Sequence[Anomaly]
    versioned: Sequence[Versioned]


def compare_events(known: Mapping[str, Known], next_offsets: Mapping[int, int]) -> Compared:
    """Compare what the places know of these events; an event has at most one anomaly of a kind.

    `next_offsets` is how far the sink had come in each partition: what stands behind is in flight.
    """
    anomalies: list[Anomaly] = []
    versioned: list[Versioned] = []
    in_flight = 0
    for event_id, it in known.items():
        reasons = (*_holes(it, next_offsets), *_duplicates(it))
        first = dict(reversed(reasons))
        found = [Anomaly(kind, event_id, detail) for kind, detail in first.items()]
        anomalies += found
        in_flight += not found and _is_in_flight(it, next_offsets)
        versioned += _versions(it)
    return Compared(
        events=len(known), in_flight=in_flight, anomalies=anomalies, versioned=versioned
    )


def compare_versions(events: Iterable[Versioned]) -> list[Anomaly]:
    """Compare the versions of these aggregates, of which all events are given."""
    by_aggregate: dict[str, list[Versioned]] = defaultdict(list)
    for event in events:
        by_aggregate[event.aggregate].append(event)
    anomalies: list[Anomaly] = []
    for aggregate, found in by_aggregate.items():
        found.sort(key=lambda event: event.version)
        anomalies += (
            Anomaly(kind, aggregate, detail)
            for kind, detail in (*_taken_twice(found), *_gaps(found), *_disorder(found))
        )
    return anomalies


Finding = tuple[Kind, str]


def _holes(it: Known, next_offsets: Mapping[int, int]) -> Iterator[Finding]:
    settled = [record for record in it.archived if _is_settled(record, next_offsets)]
    if not it.archived:
        yield from _missing_in_archive(it)
    elif not it.stored:
        if settled:
            yield Kind.HOLE, f"{_place(settled[0])} is not in Postgres"
    else:
        positions = {(placed.partition, placed.offset) for placed in it.placed}
        for record in settled:
            if (record.partition, record.offset) not in positions:
                yield Kind.HOLE, f"{_place(record)} has no position in Postgres"
        yield from _misplaced(it)
    if it.placed and not it.stored:
        yield Kind.HOLE, "its position is in Postgres, its event is not"


def _missing_in_archive(it: Known) -> Iterator[Finding]:
    settled = [record for record in it.published if record.is_settled]
    if settled:
        yield Kind.HOLE, f"{settled[0].place} is not in store.events"
    elif it.stored and not it.published and not it.is_in_outbox:
        yield Kind.HOLE, "in Postgres alone: neither in Kafka nor waiting in the outbox"


def _misplaced(it: Known) -> Iterator[Finding]:
    """Of several records of one event compaction keeps the last: positions behind it are wrong."""
    last: dict[int, int] = {}
    for record in it.archived:
        last[record.partition] = max(record.offset, last.get(record.partition, -1))
    for placed in it.placed:
        if placed.offset > last.get(placed.partition, -1):
            yield Kind.HOLE, f"store.events/{placed.partition}/{placed.offset} is not there"


def _duplicates(it: Known) -> Iterator[Finding]:
    if len(it.stored) > 1:
        yield Kind.DUPLICATE, f"{len(it.stored)} rows in Postgres"
    digests = {record.digest for record in it.archived} | {row.digest for row in it.stored}
    if len(digests) > 1:
        yield Kind.DUPLICATE, f"{len(digests)} events of different content have this id"
    partitions = sorted({record.partition for record in it.archived})
    if len(partitions) > 1:
        yield Kind.DUPLICATE, f"in partitions {', '.join(map(str, partitions))} of store.events"


def _is_in_flight(it: Known, next_offsets: Mapping[int, int]) -> bool:
    if it.stored:
        return not it.archived
    return not any(_is_settled(record, next_offsets) for record in it.archived)


def _is_settled(record: Archived, next_offsets: Mapping[int, int]) -> bool:
    return record.offset < next_offsets.get(record.partition, 0)


def _place(record: Archived) -> str:
    return f"store.events/{record.partition}/{record.offset}"


def _versions(it: Known) -> Iterator[Versioned]:
    if not it.stored or it.stored[0].version is None or it.stored[0].aggregate is None:
        return
    stored = it.stored[0]
    first = min(it.archived, key=lambda record: record.source_offset, default=None)
    yield Versioned(
        aggregate=str(stored.aggregate),
        version=int(stored.version or 0),
        event_id=stored.event_id,
        source=None if first is None else first.source,
        source_offset=-1 if first is None else first.source_offset,
    )


def _taken_twice(found: Sequence[Versioned]) -> Iterator[Finding]:
    for one, other in pairwise(found):
        if one.version == other.version:
            yield Kind.DUPLICATE, f"version {one.version}: {one.event_id} and {other.event_id}"


def _gaps(found: Sequence[Versioned]) -> Iterator[Finding]:
    expected = 1
    for event in found:
        if event.version > expected:
            missing = range(expected, event.version)
            shown = ", ".join(map(str, missing[:SHOWN_VERSIONS]))
            more = ", ..." if len(missing) > SHOWN_VERSIONS else ""
            yield Kind.VERSION_GAP, f"no version {shown}{more} before version {event.version}"
        expected = event.version + 1


def _disorder(found: Sequence[Versioned]) -> Iterator[Finding]:
    placed = [event for event in found if event.source is not None]
    for one, other in pairwise(placed):
        if one.source != other.source:
            yield (
                Kind.DISORDER,
                f"version {one.version} in {one.source}, {other.version} in {other.source}",
            )
        elif other.source_offset < one.source_offset:
            yield (
                Kind.DISORDER,
                f"version {other.version} stands before version {one.version} in {one.source}",
            )
