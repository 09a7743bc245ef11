"""The platform's archive and route on records that are whole, foreign, broken, or too new."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import orjson
import pytest

from schemas.catalog import Catalog, WriterSchema
from schemas.codec import Codec
from schemas.errors import UnknownSchemaId
from schemas.event import EventFactory
from schemas.events.domain import AnalysisStarted
from schemas.events.plugin import PluginMetricRecorded
from schemas.framing import frame
from schemas.headers import CE_ID, CE_TYPE, event_headers
from schemas.topics import STORE_EVENTS
from streams.attempts import Attempts
from streams.errors import BrokerUnavailable
from streams.impatient_schemas import ImpatientSchemas
from streams.parking.letter import HANDLER, REASON
from streams.parking.lot import LotEdges, ParkingLot
from streams.platform.processor import PlatformEdges, PlatformProcessor
from streams.receipt import Acknowledgement, Receipt
from streams.records import ORIGIN, Headers, OutgoingRecord, RawRecord
from streams.retry import RetrySchedule

CATALOG = Catalog.load()
CODEC = Codec(CATALOG)
FACTORY = EventFactory(CATALOG, "test")
STARTED = FACTORY.create(
    AnalysisStarted(analysis_id="a1", project_id="p1", package="json", files=3, root="/"),
    aggregate_id="a1",
)
METRIC = FACTORY.create(PluginMetricRecorded(plugin="p", metric="m", value=1.0))
NOW = datetime(2026, 1, 1, tzinfo=UTC)
UNKNOWN = frame((1 << 30) | 12345, b"whatever it is")


class Sent:
    """A sender that acknowledges at once and keeps what was sent, in order."""

    def __init__(self) -> None:
        self.records: list[OutgoingRecord] = []

    async def send(self, record: OutgoingRecord) -> Receipt:
        """See RecordSender."""
        self.records.append(record)
        done: asyncio.Future[Acknowledgement] = asyncio.get_running_loop().create_future()
        done.set_result(Acknowledgement(record.topic, record.partition or 0, len(self.records)))
        return Receipt("", done)

    async def flush(self) -> None:
        """See RecordSender."""

    async def close(self) -> None:
        """See RecordSender."""

    def to(self, topic: str) -> list[OutgoingRecord]:
        """What went to one topic."""
        return [record for record in self.records if record.topic == topic]


class NoSchemas:
    """Knows no id; the broker is away for the first `outages` questions."""

    def __init__(self, outages: int = 0) -> None:
        self.outages = outages
        self.asked: list[int] = []

    async def announce(self, schema: WriterSchema) -> None:
        """Not needed here."""
        raise AssertionError("the platform announces nothing")

    async def resolve(self, schema_id: int) -> None:
        """See WriterSchemas."""
        self.asked.append(schema_id)
        if len(self.asked) <= self.outages:
            raise BrokerUnavailable
        raise UnknownSchemaId(schema_id)


def record(value: bytes | None, headers: Headers = (), offset: int = 7) -> RawRecord:
    return RawRecord(
        topic="events.domain.high",
        partition=2,
        offset=offset,
        timestamp_ms=0,
        key=b"k",
        value=value,
        headers=headers,
    )


async def no_sleep(_seconds: float) -> None:
    """Tries follow each other at once."""


async def processed(records: Sequence[RawRecord], schemas: NoSchemas | None = None) -> Sent:
    sent = Sent()
    processor = PlatformProcessor(
        PlatformEdges(
            catalog=CATALOG,
            codec=CODEC,
            schemas=ImpatientSchemas(schemas or NoSchemas()),
            sender=sent,
            attempts=Attempts(RetrySchedule(), no_sleep),
            parking=ParkingLot("wundr", "wundr.platform", LotEdges(sender=sent, clock=lambda: NOW)),
        )
    )
    await processor.process(records[0].source, records)
    return sent


async def test_an_event_is_archived_as_it_came_under_its_id_in_its_own_partition() -> None:
    sent = await processed([record(CODEC.encode(STARTED), event_headers(STARTED))])
    (archived,) = sent.to(STORE_EVENTS)
    assert archived.key == STARTED.id.encode()
    assert archived.value == CODEC.encode(STARTED)
    assert archived.partition == 2
    assert archived.headers == (*event_headers(STARTED), (ORIGIN, b"events.domain.high/2/7"))


async def test_an_event_is_shown_in_its_rooms_with_the_allowed_fields_only() -> None:
    sent = await processed([record(CODEC.encode(STARTED), event_headers(STARTED))])
    (shown,) = sent.to("broadcast.project")
    assert shown.key == b"project.p1"
    body = orjson.loads(shown.value or b"")
    broadcast = CATALOG.get("analysis.started").broadcast
    assert broadcast is not None
    assert set(body["data"]) == set(broadcast.fields)
    assert body["id"] == STARTED.id
    assert dict(shown.headers)[ORIGIN] == b"events.domain.high/2/7"


async def test_a_type_without_broadcast_is_archived_and_shown_nowhere() -> None:
    sent = await processed([record(CODEC.encode(METRIC), event_headers(METRIC))])
    assert [it.topic for it in sent.records] == [STORE_EVENTS]


async def test_headers_that_a_foreign_producer_left_out_are_added() -> None:
    sent = await processed([record(CODEC.encode(STARTED))])
    headers = dict(sent.to(STORE_EVENTS)[0].headers)
    assert headers[CE_ID] == STARTED.id.encode()
    assert headers[CE_TYPE] == b"analysis.started"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"no event", b"schemas.not_an_event"),
        (b"", b"schemas.not_an_event"),
        (None, b"schemas.not_an_event"),
        (CODEC.encode(STARTED)[:9], b"schemas.truncated_event"),
    ],
)
async def test_bytes_that_are_no_event_go_to_the_dead_letters_and_nowhere_else(
    value: bytes | None, reason: bytes
) -> None:
    (letter,) = (await processed([record(value, ((CE_ID, b"x"),))])).records
    assert letter.topic == "dlq.wundr"
    assert letter.value == (value or b"")
    assert dict(letter.headers)[REASON] == reason
    assert dict(letter.headers)[HANDLER] == b"archive"


async def test_an_unknown_schema_is_archived_at_once_and_then_a_dead_letter_of_route() -> None:
    after = record(CODEC.encode(STARTED), event_headers(STARTED), offset=8)
    sent = await processed([record(UNKNOWN, ((CE_ID, b"new"),)), after])
    assert [it.key for it in sent.to(STORE_EVENTS)] == [b"new", STARTED.id.encode()]
    (letter,) = sent.to("dlq.wundr")
    assert dict(letter.headers)[HANDLER] == b"route"
    assert dict(letter.headers)[REASON] == b"schemas.unknown_schema_id"
    assert len(sent.to("broadcast.project")) == 1


async def test_an_unknown_schema_is_waited_for_once() -> None:
    schemas = NoSchemas()
    await processed([record(UNKNOWN, ((CE_ID, b"1"),)), record(UNKNOWN, ((CE_ID, b"2"),))], schemas)
    assert len(schemas.asked) == 1


async def test_an_unknown_schema_without_an_id_is_a_dead_letter_of_archive() -> None:
    (letter,) = (await processed([record(UNKNOWN)])).records
    assert letter.topic == "dlq.wundr"
    assert dict(letter.headers)[HANDLER] == b"archive"


async def test_a_broker_that_is_away_at_a_lookup_is_waited_for() -> None:
    schemas = NoSchemas(outages=5)
    sent = await processed([record(UNKNOWN, ((CE_ID, b"1"),))], schemas)
    assert len(schemas.asked) == 6
    assert dict(sent.to("dlq.wundr")[0].headers)[REASON] == b"schemas.unknown_schema_id"
