"""Gathers what Postgres and Kafka know of some events: places, failures, broadcasts.

Ranges of topics are read by time and offset; a range that is longer than the bound is left alone,
and the evidence says so.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol

from connectors.bounded_reading import read_until
from schemas.event import Event
from schemas.headers import CE_ID
from schemas.topics import BROADCAST_TOPICS, STORE_EVENTS
from streams.emission import EMISSION, Emission
from streams.failures import FailedEvent, ended_address, read_failure
from streams.log import PartitionFetcher, RecordReader
from streams.records import Origin, RawRecord, TopicPartition
from streams.timeline import Sighting, Stage

MOST_RECORDS: Final = 200_000
"""Records of one topic that are looked through."""

SHOWN_WITHIN_MS: Final = 3_600_000
"""How long after the last event broadcasts are looked for: a route that was away catches up."""

CLOCKS_MS: Final = 60_000
"""How far the clocks of producers may be ahead of the broker's."""


class StoredPlace(NamedTuple):
    """A place of the store's topic; None for an event that the sink has not read there."""

    event_id: str
    stored_ms: int
    partition: int | None
    offset: int | None


class EventPlaces(Protocol):
    """Where stored events were read from."""

    async def of(self, event_ids: Sequence[str]) -> list[StoredPlace]:
        """All places of these events. Raises DatabaseUnavailable."""
        ...


@dataclass(slots=True, kw_only=True)
class Found:
    """What there is to say of the events: grows while they are looked up.

    `failed` are those that wait or are parked now; `origins` the places in `events.*`, `archived`
    those in `store.events`.
    """

    sightings: list[Sighting] = field(default_factory=list)
    emitters: dict[str, str] = field(default_factory=dict)
    origins: dict[str, Origin] = field(default_factory=dict)
    archived: dict[str, Origin] = field(default_factory=dict)
    failed: list[FailedEvent] = field(default_factory=list)
    unsearched: list[str] = field(default_factory=list)


class EvidenceSearch:
    """Looks the events of one course up. Every method may raise BrokerUnavailable."""

    def __init__(
        self,
        places: EventPlaces,
        fetchers: Callable[[], PartitionFetcher],
        readers: Callable[[Sequence[str]], RecordReader],
        *,
        archive: str = STORE_EVENTS,
        most_records: int = MOST_RECORDS,
    ) -> None:
        self._places = places
        self._fetchers = fetchers
        self._readers = readers
        self._archive = archive
        self._most_records = most_records

    async def run(self, events: Sequence[Event[Any]], failure_topics: Sequence[str]) -> Found:
        """All that is known of these events; `failure_topics` are those that exist."""
        found = Found()
        await self._stored(events, found)
        began = min(event.timestamp_ms for event in events) - CLOCKS_MS
        ended = max(event.timestamp_ms for event in events) + SHOWN_WITHIN_MS
        ids = {event.id for event in events}
        for topic in failure_topics:
            records = await self._since(topic, began, None, found)
            _note_failures(records, ids, found)
        for topic in BROADCAST_TOPICS:
            for record in await self._since(topic, began, ended, found):
                event_id = _id_of(record)
                if event_id in ids:
                    found.sightings.append(_shown(record, event_id))
        return found

    async def _stored(self, events: Sequence[Event[Any]], found: Found) -> None:
        """Postgres, then the store's topic that it was filled from, then `events.*` before that."""
        archived: dict[Origin, str] = {}
        for place in await self._places.of([event.id for event in events]):
            found.sightings.append(_stored(place))
            if place.partition is None or place.offset is None:
                found.sightings.append(_in_outbox(place))
            else:
                archived[Origin(self._archive, place.partition, place.offset)] = place.event_id
        for record in await self._at(archived, found):
            event_id = archived[_place(record)]
            found.origins.setdefault(event_id, record.origin)
            found.archived.setdefault(event_id, _place(record))
            found.sightings.append(_archived(record, event_id))
            emitter = _emitter(record)
            if emitter is not None:
                found.emitters[event_id] = emitter
        published = {origin: event_id for event_id, origin in found.origins.items()}
        times = {_place(it): it.timestamp_ms for it in await self._at(published, found)}
        found.sightings += [
            Sighting(
                event_id=event_id,
                stage=Stage.PUBLISHED,
                subject=origin.encode().decode(),
                detail="" if origin in times else "no longer kept there",
                at_ms=times.get(origin),
            )
            for origin, event_id in published.items()
        ]

    async def _at(self, wanted: Mapping[Origin, str], found: Found) -> list[RawRecord]:
        """The records at these places that are still kept."""
        starts: dict[TopicPartition, int] = {}
        ends: dict[TopicPartition, int] = {}
        for place in wanted:
            starts[place.source] = min(starts.get(place.source, place.offset), place.offset)
            ends[place.source] = max(ends.get(place.source, 0), place.offset + 1)
        records = await self._between(starts, ends, found)
        return [record for record in records if _place(record) in wanted]

    async def _since(
        self, topic: str, began_ms: int, until_ms: int | None, found: Found
    ) -> list[RawRecord]:
        reader = self._readers([topic])
        try:
            await reader.start()
            starts = await reader.offsets_at(began_ms)
            ends = await (reader.end() if until_ms is None else reader.offsets_at(until_ms))
        finally:
            await reader.close()
        return await self._between(starts, ends, found)

    async def _between(
        self, starts: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int], found: Found
    ) -> list[RawRecord]:
        due = {source: start for source, start in starts.items() if start < ends[source]}
        if not due:
            return []
        length = sum(ends[source] - start for source, start in due.items())
        if length > self._most_records:
            names = ", ".join(sorted({source.topic for source in due}))
            found.unsearched.append(f"{names}: {length:,} records, more than are looked through")
            return []
        fetcher = self._fetchers()
        records: list[RawRecord] = []
        try:
            await fetcher.start(due)
            available = await fetcher.ends(list(due))
            bounds = {source: min(ends[source], available[source]) for source in due}
            async with aclosing(read_until(fetcher, due, bounds)) as reading:
                async for read in reading:
                    records += [record for part in read.values() for record in part]
        finally:
            await fetcher.close()
        return records


def _note_failures(records: Iterable[RawRecord], ids: Collection[str], found: Found) -> None:
    by_origin = {origin: event_id for event_id, origin in found.origins.items()}
    open_failures: dict[tuple[str, str, str, str], FailedEvent] = {}
    for record in records:
        failure = read_failure(record)
        if failure is not None:
            if failure.event_id is not None and failure.event_id in ids:
                found.sightings.append(_failed(failure, failure.event_id))
                key = (record.topic, failure.event_id, failure.group, failure.handler)
                open_failures[key] = failure
            continue
        ended = ended_address(record)
        event_id = None if ended is None else by_origin.get(ended[2])
        if ended is not None and event_id is not None:
            found.sightings.append(_left(record, event_id, ended))
            open_failures.pop((record.topic, event_id, ended[0], ended[1]), None)
    found.failed.extend(open_failures.values())


def _id_of(record: RawRecord) -> str:
    return (record.header(CE_ID) or b"").decode(errors="replace")


def _place(record: RawRecord) -> Origin:
    return Origin(record.topic, record.partition, record.offset)


def _emitter(record: RawRecord) -> str | None:
    header = record.header(EMISSION)
    if header is None:
        return None
    with suppress(ValueError):  # anybody can write a header: then it is no emission of ours
        emission = Emission.decode(header)
        return f"{emission.app}/{emission.handler}"
    return None


def _stored(place: StoredPlace) -> Sighting:
    return Sighting(
        event_id=place.event_id, stage=Stage.STORED, subject="PostgreSQL", at_ms=place.stored_ms
    )


def _in_outbox(place: StoredPlace) -> Sighting:
    return Sighting(
        event_id=place.event_id,
        stage=Stage.PENDING,
        subject="relay and sink",
        detail="it was appended, and has not come back from Kafka yet",
    )


def _archived(record: RawRecord, event_id: str) -> Sighting:
    return Sighting(
        event_id=event_id,
        stage=Stage.ARCHIVED,
        subject=_place(record).encode().decode(),
        at_ms=record.timestamp_ms,
    )


def _shown(record: RawRecord, event_id: str) -> Sighting:
    return Sighting(
        event_id=event_id,
        stage=Stage.SHOWN,
        subject=f"room {(record.key or b'').decode(errors='replace')}",
        detail=_place(record).encode().decode(),
        at_ms=record.timestamp_ms,
    )


def _failed(failure: FailedEvent, event_id: str) -> Sighting:
    return Sighting(
        event_id=event_id,
        stage=Stage.DEAD_LETTER if failure.is_parked else Stage.RETRY,
        subject=f"{failure.group}/{failure.handler}",
        detail=_reason(failure),
        at_ms=failure.at_ms,
    )


def _reason(failure: FailedEvent) -> str:
    if not failure.reason:
        return "it waits behind an earlier event of its aggregate"
    return f"try {failure.tries}: {failure.error or failure.reason}"


def _left(record: RawRecord, event_id: str, ended: tuple[str, str, Origin]) -> Sighting:
    return Sighting(
        event_id=event_id,
        stage=Stage.LEFT,
        subject=f"{ended[0]}/{ended[1]}",
        detail=record.topic,
        at_ms=record.timestamp_ms,
    )
