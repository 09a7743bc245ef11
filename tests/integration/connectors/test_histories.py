"""Aggregates out of a real PostgreSQL: long histories, snapshots, and how their pages are found."""

from typing import Any

import psycopg
import pytest

from connectors.event_row import event_row
from connectors.page import PAGE_BYTES, PAGE_ROWS
from connectors.postgres.catch_up import PostgresStoredRecords
from connectors.postgres.database import Database
from connectors.postgres.event_store import PostgresEventStore
from connectors.postgres.migrations import migrate
from connectors.postgres.sink_target import PostgresSinkTarget
from connectors.postgres.snapshots import PostgresSnapshots
from connectors.settings import PostgresSettings
from connectors.sink_target import Batch, PlacedRow, Position
from connectors.sql import QUERIES
from schemas.codec import Codec
from schemas.event import Event
from schemas.events.domain import AnalysisStarted
from streams.decider import Decider
from streams.memory.log import MemoryLog
from streams.memory.schemas import MemoryWriterSchemas
from streams.repository import Repository, RepositoryEdges
from streams.snapshot import SnapshotForm
from tests.unit.streams.appending import APPENDED, FakeAppender, factory_of

pytestmark = pytest.mark.postgres

CODEC = Codec(APPENDED)
SCHEMAS = MemoryWriterSchemas(MemoryLog(), CODEC, wait_s=0)

COUNTED: Decider[None, int] = Decider(
    aggregate_type="Analysis",
    initial=lambda: 0,
    decide=lambda _command, _state: (),
    evolve=lambda state, _event: state + 1,
    snapshots=SnapshotForm(
        schema_version=1, dump=lambda state: {"n": state}, load=lambda kept: int(kept["n"])
    ),
)


def version(number: int, aggregate_id: str = "a-1", root: str = "/") -> Event[Any]:
    data = AnalysisStarted(
        analysis_id=aggregate_id, project_id="p", package="x", files=number, root=root
    )
    event: Event[Any] = factory_of().create(data)
    assert event.aggregate is not None
    aggregate = event.aggregate._replace(version=number)
    return Event(event.envelope._replace(aggregate=aggregate), data)


async def fill(database: Database, events: list[Event[Any]]) -> None:
    target = PostgresSinkTarget(database)
    claims = await target.claim("kafka-1", [0])
    rows = [
        PlacedRow(
            position=Position(0, offset),
            row=event_row(event, CODEC.encode(event), with_json=False),
        )
        for offset, event in enumerate(events, claims[0].next)
    ]
    end = claims[0].next + len(rows)
    await target.store("kafka-1", Batch(rows=rows, claims=claims, next={0: end}))


async def test_a_long_history_is_read_once_and_from_its_snapshot_after_that(
    fresh_database: str,
) -> None:
    settings = PostgresSettings(dsn=fresh_database)
    await migrate(settings)
    async with Database(settings) as database:
        await fill(database, [version(number) for number in range(1, 10_001)])
        edges = RepositoryEdges(
            stored=PostgresEventStore(database, CODEC, SCHEMAS),
            appender=FakeAppender(MemoryLog()),
            factory=factory_of(),
            snapshots=PostgresSnapshots(database),
        )
        repository = Repository(COUNTED, edges)
        assert await repository.load("a-1") == (10_000, 10_000, 10_000)
        await fill(database, [version(number) for number in range(10_001, 10_051)])
        assert await repository.load("a-1") == (10_050, 10_050, 50)


async def test_a_page_of_large_events_is_as_heavy_as_a_page_of_small_ones(
    fresh_database: str,
) -> None:
    settings = PostgresSettings(dsn=fresh_database)
    await migrate(settings)
    large = [version(number, root="x" * 700_000) for number in range(1, 21)]
    small = [version(number) for number in range(21, 1_000)]
    async with Database(settings) as database:
        await fill(database, [*small[:500], *large, *small[500:]])
        store = PostgresEventStore(database, CODEC, SCHEMAS)
        found = [event.id async for event in store.history("Analysis", "a-1")]
        assert found == [event.id for event in [*large, *small]]
        streamed = [event.id async for event in store.stream()]
        assert sorted(streamed) == sorted(found)
        records = PostgresStoredRecords(database)
        page = await records.page("kafka-1", 0, 0, PAGE_ROWS)
        assert PAGE_BYTES <= sum(len(it.framed) for it in page.records) < PAGE_BYTES + 1_000_000


PAGES: dict[str, dict[str, Any]] = {
    "events_by_version": {
        "aggregate_type": "Analysis",
        "aggregate_id": "a-1",
        "from_version": 1_900,
        "target_version": 1 << 62,
    },
    "events_in_time": {},
    "events_of_type_in_time": {"first_type": "analysis.started"},
    "events_of_types_in_time": {"first_type": "analysis.", "last_type": "analysis.z"},
    "stored_records": {"topic_id": "kafka-1", "partition": 0, "offset": 1_500},
    "ids_before": {"topic_id": "kafka-1", "partition": 0, "offset": 1_500, "limit": 100},
}


ORDERED = {
    "events_by_version",
    "events_in_time",
    "events_of_type_in_time",
    "events_of_types_in_time",
}
"""The pages that are asked for with the order kept."""


@pytest.mark.parametrize("is_analysed", [False, True], ids=["without statistics", "analysed"])
async def test_no_page_reads_or_sorts_the_whole_table(
    fresh_database: str, *, is_analysed: bool
) -> None:
    """A sink that has just filled an empty database has no statistics yet."""
    settings = PostgresSettings(dsn=fresh_database)
    await migrate(settings)
    async with Database(settings) as database:
        events = [version(number, f"a-{number % 2}") for number in range(1, 3_001)]
        await fill(database, events)
    with psycopg.connect(fresh_database, autocommit=True) as connection:
        if is_analysed:
            connection.execute("ANALYZE")
        middle = {
            "after_time": events[1_500].timestamp,
            "after_sequence": 0,
            "rows": 100,
            "bytes": 1_000_000,
        }
        plans = {}
        for name, values in PAGES.items():
            query = f"EXPLAIN {QUERIES[name]}"
            with connection.transaction():
                if name in ORDERED:
                    connection.execute(QUERIES["keep_order"])
                rows = connection.execute(query.encode(), {**middle, **values}).fetchall()
            plans[name] = "\n".join(row[0] for row in rows)
    whole = {name: plan for name, plan in plans.items() if "Seq Scan on" in plan}
    assert whole == {}
    assert {name: plan for name, plan in plans.items() if "Sort" in plan} == {}
