"""Evidence of a course is found in every place that keeps some, and its bound is said."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from connectors.event_evidence import EvidenceSearch, Found, StoredPlace
from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.event import Event, EventFactory
from schemas.topics import BROADCAST_PROJECT
from streams.dead_letter import Failure, dead_letter
from streams.emission import EMISSION, Emission
from streams.memory.fetcher import MemoryFetcher
from streams.memory.log import MemoryLog
from streams.memory.reader import MemoryReader
from streams.platform.archive import archived
from streams.platform.route import routed
from streams.publisher import event_record
from streams.records import Origin, OutgoingRecord, RawRecord, TopicPartition
from streams.timeline import Stage

CATALOG = Catalog.load()
CODEC = Codec(CATALOG)
NOW = datetime(2026, 11, 25, tzinfo=UTC)
NOW_MS = round(NOW.timestamp() * 1_000)
FACTORY = EventFactory(CATALOG, source="tests", clock=lambda: NOW)


class Installation:
    """A log with one event on its way through it, and the places that Postgres would know."""

    def __init__(self) -> None:
        self.now_ms = NOW_MS
        self.log = MemoryLog(partitions=2, clock_ms=lambda: self.now_ms)
        self.places: list[StoredPlace] = []
        self.event = FACTORY.create_from_mapping(
            "setup.session.started",
            {"sessionId": "s", "projectId": "p", "profileId": "f", "userId": None},
            aggregate_id="s",
        )

    async def of(self, event_ids: Sequence[str]) -> list[StoredPlace]:
        return [place for place in self.places if place.event_id in event_ids]

    def published(self, emission: Emission | None = None) -> RawRecord:
        """Publish, archive and route the event as the platform does."""
        record = event_record(self.event, CODEC.encode(self.event))
        if emission is not None:
            headers = (*record.headers, (EMISSION, emission.encode()))
            record = record._replace(headers=headers)
        source = self.append(record)
        kept = self.append(archived(source, self.event.id, self.event.envelope))
        self.places = [StoredPlace(self.event.id, NOW_MS + 30, kept.partition, kept.offset)]
        for out in routed(source, self.event, CATALOG.get(self.event.type)):
            self.append(out)
        return source

    def append(self, record: OutgoingRecord) -> RawRecord:
        at = self.log.append(record)
        return self.log.records(TopicPartition(at.topic, at.partition), at.offset)[0]

    async def found(self, *, most_records: int = 100) -> Found:
        search = EvidenceSearch(
            self,
            lambda: MemoryFetcher(self.log),
            lambda topics: MemoryReader(self.log, topics),
            most_records=most_records,
        )
        return await search.run([self.event], ["dlq.team", "retry.team"])


def stages(found: Found) -> dict[Stage, str]:
    return {it.stage: it.subject for it in found.sightings}


async def test_every_place_of_an_event_is_found() -> None:
    it = Installation()
    source = it.published()
    found = await it.found()
    place = f"{source.topic}/{source.partition}/0"
    assert stages(found) == {
        Stage.STORED: "PostgreSQL",
        Stage.ARCHIVED: f"store.events/{source.partition}/0",
        Stage.PUBLISHED: place,
        Stage.SHOWN: "room project.p",
    }
    assert found.origins == {it.event.id: source.origin}
    assert found.unsearched == []


async def test_the_handler_that_emitted_an_event_is_read_from_its_header() -> None:
    it = Installation()
    it.published(Emission("team", "begin", Origin("events.domain.high", 0, 3), 0))
    assert (await it.found()).emitters == {it.event.id: "team/begin"}


async def test_a_dead_letter_is_found_with_its_reason_and_stands_until_it_is_ended() -> None:
    it = Installation()
    source = it.published()
    failure = Failure(
        app="team", group="team.main", handler="take", error=ValueError("no"), tries=3
    )
    key = f"team.main/take/{source.topic}/{source.partition}/{source.offset}".encode()
    it.append(dead_letter(source, failure, NOW)._replace(key=key, partition=0))
    found = await it.found()
    letter = next(one for one in found.sightings if one.stage is Stage.DEAD_LETTER)
    assert (letter.subject, letter.detail) == ("team.main/take", "try 3: ValueError: no")
    assert [one.handler for one in found.failed] == ["take"]

    it.append(OutgoingRecord("dlq.team", key, None, (), 0))
    found = await it.found()
    assert stages(found)[Stage.LEFT] == "team.main/take"
    assert found.failed == []


async def test_an_appended_event_that_was_not_relayed_waits() -> None:
    it = Installation()
    it.places = [StoredPlace(it.event.id, NOW_MS, None, None)]
    assert stages(await it.found())[Stage.PENDING] == "relay and sink"


async def test_a_topic_that_is_too_long_is_named_and_not_read() -> None:
    it = Installation()
    it.published()
    for _ in range(3):
        it.append(OutgoingRecord(BROADCAST_PROJECT, b"project.p", b"{}"))
    found = await it.found(most_records=3)
    assert len(found.unsearched) == 1
    assert found.unsearched[0].startswith("broadcast.project: 4 records")
    assert Stage.SHOWN not in stages(found)


async def test_what_somebody_else_wrote_is_left_alone() -> None:
    it = Installation()
    it.published()
    other: Event[Any] = FACTORY.create_from_mapping(
        "setup.session.started",
        {"sessionId": "o", "projectId": "p", "profileId": "f", "userId": None},
        aggregate_id="o",
    )
    it.append(event_record(other, CODEC.encode(other))._replace(topic=BROADCAST_PROJECT))
    it.append(OutgoingRecord("dlq.team", b"k", b"v"))
    assert {one.event_id for one in (await it.found()).sightings} == {it.event.id}
