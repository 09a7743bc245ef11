"""What every StoredEvents promises, in process and on PostgreSQL alike."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from connectors.event_row import event_row
from connectors.postgres.database import Database
from connectors.postgres.event_store import PostgresEventStore
from connectors.postgres.migrations import migrate
from connectors.postgres.sink_target import PostgresSinkTarget
from connectors.settings import PostgresSettings
from connectors.sink_target import Batch, PlacedRow, Position
from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.event import Event, EventFactory
from streams.event_store import StoredEvents
from streams.memory.log import MemoryLog
from streams.memory.schemas import MemoryWriterSchemas
from streams.memory.stored import MemoryStoredEvents
from streams.reading import EventReading
from streams.records import OutgoingRecord

CATALOG = Catalog.load()
START = datetime(2026, 1, 2, tzinfo=UTC)

Store = Callable[[list[Event[Any]]], Awaitable[None]]


def started(number: int, *, session: str, correlation: str) -> Event[Any]:
    return EventFactory(CATALOG, source="tests").create_from_mapping(
        "setup.step.validate.started",
        {"sessionId": session, "profileId": None, "projectId": "p"},
        aggregate_id=session,
        correlation_id=correlation,
        timestamp=START + timedelta(seconds=number),
    )


@asynccontextmanager
async def in_process() -> AsyncIterator[tuple[StoredEvents, Store]]:
    log, codec = MemoryLog(), Codec(CATALOG)
    reading = EventReading(codec, MemoryWriterSchemas(log, codec), wants=lambda _type: True)

    async def put(events: list[Event[Any]]) -> None:
        for event in events:
            log.append(
                OutgoingRecord(topic=event.topic, key=event.key.encode(), value=codec.encode(event))
            )

    yield MemoryStoredEvents(log, reading), put


@asynccontextmanager
async def on_postgres(dsn: str) -> AsyncIterator[tuple[StoredEvents, Store]]:
    settings, codec = PostgresSettings(dsn=dsn), Codec(CATALOG)
    await migrate(settings)
    async with Database(settings) as database:
        target = PostgresSinkTarget(database)

        async def put(events: list[Event[Any]]) -> None:
            claims = await target.claim("kafka-1", [0])
            rows = []
            for offset, event in enumerate(events, start=claims[0].next):
                framed = codec.encode(event)
                row = event_row(codec.view(framed), framed, with_json=True)
                rows.append(PlacedRow(position=Position(0, offset), row=row))
            end = claims[0].next + len(rows)
            await target.store("kafka-1", Batch(rows=rows, claims=claims, next={0: end}))

        schemas = MemoryWriterSchemas(MemoryLog(), codec, wait_s=0)
        yield PostgresEventStore(database, codec, schemas), put


@pytest.fixture(params=["in process", pytest.param("postgres", marks=pytest.mark.postgres)])
async def stored(
    request: pytest.FixtureRequest,
) -> AsyncIterator[tuple[StoredEvents, Store]]:
    opened = (
        in_process()
        if request.param == "in process"
        else on_postgres(request.getfixturevalue("fresh_database"))
    )
    async with opened as pair:
        yield pair


async def test_the_history_of_an_aggregate_comes_in_order_and_whole(
    stored: tuple[StoredEvents, Store],
) -> None:
    store, put = stored
    events = [started(number, session=f"s{number % 2}", correlation="c") for number in range(6)]
    await put(events)
    assert await store.get_events("s1") == [events[1], events[3], events[5]]
    assert await store.get_events("s1", aggregate_type="SetupSession") == events[1::2]
    assert await store.get_events("s1", aggregate_type="Analysis") == []
    assert await store.get_events("nobody") == []


async def test_a_first_version_does_not_hide_events_without_versions(
    stored: tuple[StoredEvents, Store],
) -> None:
    store, put = stored
    event = started(1, session="s", correlation="c")
    await put([event])
    assert await store.get_events("s", 3) == [event]


async def test_a_correlation_gathers_events_of_all_aggregates_in_order_of_time(
    stored: tuple[StoredEvents, Store],
) -> None:
    store, put = stored
    events = [started(9 - number, session=f"s{number}", correlation="c") for number in range(4)]
    await put([*events, started(0, session="s", correlation="other")])
    assert await store.get_events_by_correlation("c") == events[::-1]
    assert await store.get_events_by_correlation("nobody") == []


async def test_an_event_that_comes_twice_is_there_once_with_its_data(
    stored: tuple[StoredEvents, Store],
) -> None:
    store, put = stored
    event = started(1, session="s", correlation="c")
    await put([event, event])
    await put([event])
    [found] = await store.get_events("s")
    assert found.payload == event.payload
    assert found.timestamp == event.timestamp
