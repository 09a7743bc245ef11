"""Projections in Postgres and replays see stored events of every major as the newest one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from connectors.past_state import AsOf, state_as_of
from connectors.postgres.database import Database
from connectors.postgres.event_appender import PostgresEventAppender
from connectors.postgres.event_store import PostgresEventStore
from connectors.postgres.migrations import migrate
from connectors.projected_rows import ChangedRows
from connectors.projection_errors import FoldStopped
from connectors.projection_replay import ProjectionReplay
from connectors.projection_service import projection_edges
from connectors.replay import Replay, ReplayEdges, Selection
from connectors.settings import PostgresSettings
from connectors.store_plan import StorePlan
from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.event import Event, EventFactory
from streams.aggregate_replay import EventReplay
from streams.app import App
from streams.context import Context
from streams.decider import Decider
from streams.expectation import NO_EVENTS
from streams.memory.log import MemoryLog
from streams.memory.schemas import MemoryWriterSchemas
from streams.projection import KeptIn, Projection
from streams.rehearsal import Rehearsal
from streams.settings import KafkaSettings
from tests.integration.projections.stored import Store, folded
from tests.integration.projections.working import (
    live_of,
    projector,
    rebuild,
    running,
    until_at_end,
    until_known,
)
from tests.unit.schemas.order_majors import (
    NEWEST,
    PLACED,
    VERSIONS,
    newest,
    order_majors,
    placed,
    project_of,
    to_currency,
    turnover,
)

pytestmark = [pytest.mark.kafka, pytest.mark.postgres]


TURNOVER = Projection(
    name="turnover",
    patterns=(PLACED,),
    fold=turnover,
    initial=dict,
    key=project_of,
    kept_in=KeptIn.POSTGRES,
)


@dataclass
class OldStore:
    """Events in all versions by turns, as a sink has stored them, read by a plan's own edges."""

    catalog: Catalog
    store: Store
    events: Sequence[Event[Any]]

    @property
    def expected(self) -> list[Event[Any]]:
        """The same events, written in the newest version."""
        return [newest(self.catalog, event) for event in self.events]


@dataclass
class Places:
    """Where the servers of a test are."""

    kafka: str
    dsn: str

    def plan(self, catalog: Catalog) -> StorePlan:
        return StorePlan(
            kafka=KafkaSettings(bootstrap=self.kafka),
            postgres=PostgresSettings(dsn=self.dsn, pool_size=8),
            catalog=catalog,
        )


@pytest.fixture
async def places(kafka_bootstrap: str, fresh_database: str) -> Places:
    await migrate(PostgresSettings(dsn=fresh_database))
    return Places(kafka_bootstrap, fresh_database)


async def filled(database: Database, catalog: Catalog) -> OldStore:
    store = Store(database, Codec(catalog))
    events = [placed(catalog, number, VERSIONS[number % 4]) for number in range(80)]
    await store.put(events)
    return OldStore(catalog, store, events)


@pytest.fixture
async def old(places: Places) -> AsyncIterator[OldStore]:
    plan = places.plan(order_majors())
    async with Database(plan.postgres) as database, projection_edges(plan) as edges:
        found = await filled(database, plan.catalog)
        found.store.edges = edges
        yield found


async def test_rows_and_their_rebuild_equal_the_fold_of_the_newest_version(old: OldStore) -> None:
    expected = folded(TURNOVER, old.expected)
    async with running(projector(old.store, TURNOVER)):
        await until_known(old.store, TURNOVER)
        live = await live_of(old.store, TURNOVER)
        await until_at_end(old.store, live)
    assert await old.store.rows_of(live.version_id) == expected
    report = await (await rebuild(old.store, TURNOVER)).run()
    assert report.parity is not None
    assert (report.events, report.parity.differences) == (len(old.events), 0)
    rebuilt = await live_of(old.store, TURNOVER)
    assert rebuilt.version_id != live.version_id
    assert await old.store.rows_of(rebuilt.version_id) == expected
    past = await state_as_of(TURNOVER, old.store.edges.history, "p1", AsOf())
    assert past is not None
    assert past.state == expected["p1"]


async def test_a_replayed_projection_equals_the_fold_of_the_newest_version(old: OldStore) -> None:
    app = App("team")
    app.projection("turnover", on=(PLACED,), initial=dict, key=project_of, kept_in=KeptIn.POSTGRES)(
        turnover
    )
    replay = ProjectionReplay(app, "team.app", old.store.edges, "replay")
    report = await replay.replay_projection("turnover")
    assert report.events == len(old.events)
    live = await live_of(old.store, TURNOVER)
    assert await old.store.rows_of(live.version_id) == folded(TURNOVER, old.expected)


@pytest.mark.parametrize("key", [None, "Order/o3"])
async def test_a_replay_gives_its_handler_the_newest_version(
    old: OldStore, key: str | None
) -> None:
    app, seen = App("team"), dict[str, Event[Any]]()

    @app.on(PLACED)
    async def note(event: Event[Any], context: Context) -> None:
        seen[event.id] = event

    (handler,) = app.handlers
    rehearsal = Rehearsal(app.name, handler, EventFactory(old.catalog, app.name))
    rows = ChangedRows(app.name, [], old.store.edges.store)
    edges = ReplayEdges(history=old.store.edges.history, publisher=None, rows=rows)
    report = await Replay(rehearsal, edges).run(Selection(patterns=(PLACED,), key=key))
    expected = {event.id: event for event in old.expected if key in (None, event.key)}
    assert seen == expected
    assert (report.handled, report.failed) == (len(expected), 0)


async def test_an_upcast_that_fails_stops_the_projection_and_names_the_event(
    places: Places,
) -> None:
    def refuses(data: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"nothing": data["absent"]}

    plan = places.plan(order_majors({(PLACED, 1): refuses, (PLACED, 2): to_currency}))
    async with Database(plan.postgres) as database, projection_edges(plan) as edges:
        broken = await filled(database, plan.catalog)
        broken.store.edges = edges
        known = await edges.store.register("team", "team.app", TURNOVER)
        assert known.live == 1
        with pytest.raises(FoldStopped, match=r"cannot be read as 2\.0\.0") as stopped:
            await (await rebuild(broken.store, TURNOVER)).run()
        failing = next(it for it in broken.events if it.id in str(stopped.value))
        assert failing.version.startswith("1.")


async def test_replayed_aggregates_evolve_by_the_newest_version(places: Places) -> None:
    catalog = order_majors(appended=True)
    codec = Codec(catalog, upcasts=True)
    orders = Decider[None, dict[str, Any]](
        aggregate_type="Order", initial=dict, decide=lambda _command, _state: (), evolve=turnover
    )
    # Seven orders: numbers that are the same modulo seven are versions of one.
    events = [placed(catalog, number, VERSIONS[number % 4]) for number in range(0, 28, 7)]
    async with Database(PostgresSettings(dsn=places.dsn)) as database:
        appender = PostgresEventAppender(database, catalog, codec)
        await appender.append(events, NO_EVENTS, command_id="c")
        store = PostgresEventStore(
            database, codec, MemoryWriterSchemas(MemoryLog(), codec, wait_s=0)
        )
        replay = EventReplay(store, [orders])
        for version in range(1, 5):
            then = await replay.replay_events("Order", "o0", version)
            told = [newest(catalog, event) for event in events[:version]]
            assert (then.state, then.version) == (orders.fold(told), version)
        repeat = await appender.append(events, NO_EVENTS, command_id="c")
        assert [event.version for event in repeat.events] == [NEWEST] * 4
