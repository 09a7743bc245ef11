"""What every EventQueries promises, in process and on PostgreSQL alike."""

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
from streams.event_store import EventQueries, Selection
from streams.memory.log import MemoryLog
from streams.memory.schemas import MemoryWriterSchemas
from streams.memory.stored import MemoryStoredEvents
from streams.reading import EventReading
from streams.records import OutgoingRecord

CATALOG = Catalog.load()
START = datetime(2026, 1, 2, tzinfo=UTC)

Store = Callable[[list[Event[Any]]], Awaitable[None]]


def started(
    number: int, *, session: str, correlation: str, causation: str | None = None
) -> Event[Any]:
    return EventFactory(CATALOG, source="tests").create_from_mapping(
        "setup.step.validate.started",
        {"sessionId": session, "profileId": None, "projectId": "p"},
        aggregate_id=session,
        correlation_id=correlation,
        causation_id=causation,
        timestamp=START + timedelta(seconds=number),
    )


def appended(version: int, *, session: str, number: int = 0) -> Event[Any]:
    event = started(number, session=session, correlation="c")
    assert event.aggregate is not None
    aggregate = event.aggregate._replace(version=version)
    return Event(event.envelope._replace(aggregate=aggregate), event.data)


async def ids_of(events: AsyncIterator[Event[Any]]) -> list[str]:
    return [event.id async for event in events]


@asynccontextmanager
async def in_process() -> AsyncIterator[tuple[EventQueries, Store]]:
    log, codec = MemoryLog(), Codec(CATALOG)
    reading = EventReading(codec, MemoryWriterSchemas(log, codec), wants=lambda _type: True)

    async def put(events: list[Event[Any]]) -> None:
        for event in events:
            log.append(
                OutgoingRecord(topic=event.topic, key=event.key.encode(), value=codec.encode(event))
            )

    yield MemoryStoredEvents(log, reading), put


@asynccontextmanager
async def on_postgres(dsn: str) -> AsyncIterator[tuple[EventQueries, Store]]:
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
) -> AsyncIterator[tuple[EventQueries, Store]]:
    opened = (
        in_process()
        if request.param == "in process"
        else on_postgres(request.getfixturevalue("fresh_database"))
    )
    async with opened as pair:
        yield pair


async def test_the_history_of_an_aggregate_comes_in_order_and_whole(
    stored: tuple[EventQueries, Store],
) -> None:
    store, put = stored
    events = [started(number, session=f"s{number % 2}", correlation="c") for number in range(6)]
    await put(events)
    assert await store.get_events(None, "s1") == [events[1], events[3], events[5]]
    assert await store.get_events("SetupSession", "s1") == events[1::2]
    assert await store.get_events("Analysis", "s1") == []
    assert await store.get_events(None, "nobody") == []


async def test_a_first_version_does_not_hide_events_without_versions(
    stored: tuple[EventQueries, Store],
) -> None:
    store, put = stored
    event = started(1, session="s", correlation="c")
    await put([event])
    assert await store.get_events(None, "s", 3) == [event]


async def test_a_correlation_gathers_events_of_all_aggregates_in_order_of_time(
    stored: tuple[EventQueries, Store],
) -> None:
    store, put = stored
    events = [started(9 - number, session=f"s{number}", correlation="c") for number in range(4)]
    await put([*events, started(0, session="s", correlation="other")])
    assert await store.get_events_by_correlation("c") == events[::-1]
    assert await store.get_events_by_correlation("nobody") == []


async def test_an_event_that_comes_twice_is_there_once_with_its_data(
    stored: tuple[EventQueries, Store],
) -> None:
    store, put = stored
    event = started(1, session="s", correlation="c")
    await put([event, event])
    await put([event])
    [found] = await store.get_events(None, "s")
    assert found.payload == event.payload
    assert found.timestamp == event.timestamp


async def test_an_aggregate_is_read_from_a_version_up_to_a_version(
    stored: tuple[EventQueries, Store],
) -> None:
    store, put = stored
    events = [appended(version, session="s") for version in range(1, 8)]
    await put(events)
    assert await store.get_events("SetupSession", "s", 3, 5) == events[2:5]
    assert await store.get_events(None, "s", target_version=2) == events[:2]
    assert await ids_of(store.history("SetupSession", "s")) == [event.id for event in events]
    found = await ids_of(store.history("SetupSession", "s", 3, 5))
    assert found == [event.id for event in events[2:5]]
    assert await ids_of(store.history("Analysis", "s")) == []


async def test_a_history_has_every_version_however_many_pages_it_takes(
    stored: tuple[EventQueries, Store],
) -> None:
    store, put = stored
    events = [appended(version, session="s") for version in range(1, 2_102)]
    await put(events)
    assert await ids_of(store.history("SetupSession", "s")) == [event.id for event in events]


async def test_a_history_leaves_events_without_versions_out(
    stored: tuple[EventQueries, Store],
) -> None:
    store, put = stored
    versioned = appended(1, session="s")
    await put([started(1, session="s", correlation="c"), versioned])
    assert await ids_of(store.history("SetupSession", "s")) == [versioned.id]


async def test_a_stream_has_every_event_of_one_moment_in_order_across_pages(
    stored: tuple[EventQueries, Store],
) -> None:
    store, put = stored
    early = started(-60, session="early", correlation="c")
    at_once = [started(0, session=f"s{number}", correlation="c") for number in range(2_050)]
    await put([*at_once, early])
    found = await ids_of(store.stream())
    assert found[0] == early.id
    assert set(found[1:]) == {event.id for event in at_once}
    assert len(found) == 2_051


@pytest.mark.parametrize(
    ("pattern", "numbers"),
    [
        ("*", [2, 3, 4]),
        ("setup.*", [2, 3, 4]),
        ("setup.step.validate.started", [2, 3, 4]),
        ("setup.step.install.*", []),
        ("analysis.started", []),
    ],
)
async def test_a_stream_is_bounded_by_type_and_time(
    stored: tuple[EventQueries, Store], pattern: str, numbers: list[int]
) -> None:
    store, put = stored
    events = [started(number, session="s", correlation="c") for number in range(7)]
    await put(events)
    selection = Selection(
        pattern=pattern, since=START + timedelta(seconds=2), until=START + timedelta(seconds=5)
    )
    assert await ids_of(store.stream(selection)) == [events[number].id for number in numbers]


async def test_a_stream_of_one_type_ends_before_the_next_type_and_spans_pages(
    stored: tuple[EventQueries, Store],
) -> None:
    store, put = stored
    factory = EventFactory(CATALOG, source="tests")
    before = factory.create_from_mapping(
        "setup.step.install.started",
        {"sessionId": "s", "projectId": "p"},
        aggregate_id="s",
        timestamp=START,
    )
    behind = factory.create_from_mapping(
        "system.worker.started", {"process": "p", "host": "h", "pid": 1}, timestamp=START
    )
    wanted = [started(number, session="s", correlation="c") for number in range(2_100)]
    await put([before, behind, *wanted])
    ids = [event.id for event in wanted]
    assert await ids_of(store.stream(Selection(pattern="setup.step.validate.started"))) == ids
    assert set(await ids_of(store.stream(Selection(pattern="setup.step.*")))) == {before.id, *ids}


async def test_a_stream_that_is_left_early_leaves_the_store_usable(
    stored: tuple[EventQueries, Store],
) -> None:
    store, put = stored
    await put([started(number, session="s", correlation="c") for number in range(3)])
    for _ in range(20):
        async for _event in store.stream():
            break
    assert len(await ids_of(store.stream())) == 3


async def test_causes_come_before_what_they_caused_and_nothing_else_comes(
    stored: tuple[EventQueries, Store],
) -> None:
    store, put = stored

    def caused(number: int, cause: Event[Any] | None) -> Event[Any]:
        causation = None if cause is None else cause.id
        return started(number, session=f"s{number}", correlation="c", causation=causation)

    first = caused(0, None)
    second = caused(1, first)
    sibling = caused(2, first)
    asked = caused(3, second)
    late, early = caused(9, asked), caused(5, asked)
    below_early = caused(6, early)
    await put([first, second, sibling, asked, late, early, below_early])
    found = await store.get_events_by_causation(asked.id)
    assert found == [first, second, asked, early, late, below_early]


async def test_what_a_command_outside_the_store_caused_is_found_by_its_id(
    stored: tuple[EventQueries, Store],
) -> None:
    store, put = stored
    event = started(1, session="s", correlation="c", causation="command-7")
    await put([event])
    assert await store.get_events_by_causation("command-7") == [event]
    assert await store.get_events_by_causation(event.id) == [event]
    assert await store.get_events_by_causation("nobody") == []


async def test_events_that_claim_to_have_caused_each_other_are_each_there_once(
    stored: tuple[EventQueries, Store],
) -> None:
    store, put = stored
    factory = EventFactory(CATALOG, source="tests")
    data = {"sessionId": "s", "profileId": None, "projectId": "p"}
    pair = [
        factory.create_from_mapping(
            "setup.step.validate.started",
            data,
            aggregate_id="s",
            id=own,
            causation_id=other,
            timestamp=START,
        )
        for own, other in (("a", "b"), ("b", "a"))
    ]
    await put(pair)
    assert [event.id for event in await store.get_events_by_causation("a")] == ["b", "a"]
