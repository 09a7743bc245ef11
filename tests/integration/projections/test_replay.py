"""History read again into a handler: what is emitted, compared with what is stored."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from connectors.past_state import AsOf, state_as_of
from connectors.projected_rows import ChangedRows
from connectors.projection_errors import TableRebuiltByWorkers, UnknownProjection
from connectors.projection_replay import ProjectionReplay
from connectors.replay import Replay, ReplayEdges, ReplayProgress, ReplayReport, Selection
from schemas.event import Event, EventFactory
from schemas.events.domain import AnalysisFileProcessed, NotificationSent
from streams.app import App
from streams.context import Context
from streams.memory.log import MemoryLog, MemorySender
from streams.projection import KeptIn, Projection
from streams.publisher import EventPublisher
from streams.rehearsal import Rehearsal
from tests.integration.projections.stored import (
    CATALOG,
    CODEC,
    PER_FILE,
    PER_PROJECT,
    POISON,
    SCHEMAS,
    Store,
    files,
    folded,
)

pytestmark = pytest.mark.postgres

SUBJECTS = Projection(
    name="subjects",
    patterns=("notification.sent",),
    fold=lambda state, event: {"last": event.data.subject},
    initial=dict,
    key=lambda event: str(event.data.project_id),
    kept_in=KeptIn.POSTGRES,
)


def notifying(subject: str = "{lines} lines", times: int = 1) -> App:
    app = App("team")

    @app.on("analysis.file.processed")
    async def notify(event: Event[AnalysisFileProcessed], context: Context) -> None:
        if event.data.lines == POISON:
            raise ValueError("cannot be handled")
        for _ in range(times):
            await context.publish(
                NotificationSent(
                    notification_id=event.id,
                    project_id=event.data.project_id,
                    user_id=None,
                    subject=subject.format(lines=event.data.lines),
                ),
                aggregate_id=event.id,
            )

    return app


async def replay(
    store: Store, app: App, log: MemoryLog | None = None, **selected: Any
) -> ReplayReport:
    publisher = None
    if log is not None:
        publisher = EventPublisher(CATALOG, CODEC, MemorySender(log), SCHEMAS)
    edges = ReplayEdges(
        history=store.edges.history,
        publisher=publisher,
        rows=ChangedRows(app.name, [SUBJECTS], store.edges.store),
    )
    (handler,) = app.handlers
    rehearsal = Rehearsal(app.name, handler, EventFactory(CATALOG, app.name))
    selection = Selection(**{"patterns": (handler.pattern,), **selected})
    return await Replay(rehearsal, edges).run(selection)


async def emitted(app: App, events: Sequence[Event[Any]]) -> list[Event[Any]]:
    """What a worker of the app has emitted for these events."""
    (handler,) = app.handlers
    rehearsal = Rehearsal(app.name, handler, EventFactory(CATALOG, app.name))
    return [made for event in events for made in await rehearsal.handle(event)]


async def test_the_same_code_emits_what_is_stored_and_sends_nothing(store: Store) -> None:
    events, app = files(40), notifying()
    await store.put([*events, *await emitted(app, events)])
    log = MemoryLog()
    report = await replay(store, app, log)
    assert (report.read, report.handled, report.same) == (40, 40, 40)
    assert (report.new, report.changed, report.gone, report.published) == (0, 0, 0, 0)
    assert not log.topic("events.domain.normal")


async def test_a_dry_run_tells_new_changed_and_gone_and_the_rows_they_change(store: Store) -> None:
    events = files(40)
    await store.put([*events, *await emitted(notifying(times=2), events[:30])])
    report = await replay(store, notifying("{lines} lines of code"))
    assert (report.changed, report.new, report.gone) == (30, 10, 30)
    assert report.published == 0
    assert report.rows == {"subjects": 2}
    assert len(report.shown) == 20


async def test_without_a_dry_run_what_is_new_is_sent_once(store: Store) -> None:
    events, app = files(20), notifying()
    already = await emitted(app, events[:5])
    await store.put([*events, *already])
    log = MemoryLog()
    report = await replay(store, app, log)
    assert (report.same, report.new, report.published) == (5, 15, 15)
    (topic,) = {event.topic for event in already}
    sent = {CODEC.view(record.value or b"").id for record in log.topic(topic)}
    assert sent == {event.id for event in await emitted(app, events[5:])}


async def test_a_range_is_chosen_by_time_offset_key_and_type(store: Store) -> None:
    events, app = files(200), notifying()
    await store.put(events)
    middle = events[100].timestamp
    later = [event for event in events if event.timestamp >= middle]
    assert (await replay(store, app, since=middle)).handled == len(later)
    earlier = middle - timedelta(milliseconds=1)
    assert (await replay(store, app, until=earlier)).handled == 200 - len(later)
    key = events[7].key
    assert (await replay(store, app, key=key)).handled == 4
    assert (await replay(store, app, patterns=("system.*",))).handled == 0
    ends = await store.edges.history.ends()
    partition = next(it for it, end in ends.items() if end > 12)
    chosen = {partition: (5, 10)}
    assert (await replay(store, app, offsets=chosen)).handled == 5
    assert (await replay(store, app, offsets=chosen, key=key)).read == 5


async def test_a_handler_that_raises_is_named_and_the_others_go_on(store: Store) -> None:
    await store.put([*files(10), *files(1, first=POISON)])
    report = await replay(store, notifying())
    assert (report.handled, report.failed, report.new) == (11, 1, 10)
    assert "cannot be handled" in report.failures[0].error


async def test_progress_goes_from_nothing_to_all(store: Store) -> None:
    await store.put(files(100))
    heard: list[ReplayProgress] = []
    app = notifying()
    edges = ReplayEdges(
        history=store.edges.history,
        publisher=None,
        rows=ChangedRows(app.name, [], store.edges.store),
    )
    (handler,) = app.handlers
    rehearsal = Rehearsal(app.name, handler, EventFactory(CATALOG, app.name))
    await Replay(rehearsal, edges, heard.append).run(Selection(patterns=("*",)))
    assert (heard[-1].offsets, heard[-1].of) == (100, 100)


async def test_a_projection_is_replayed_from_a_time_on(store: Store) -> None:
    events = files(100)
    await store.put(events)
    app = App("team")
    app.projection(
        "per-project",
        on=("analysis.*",),
        initial=dict,
        key=PER_PROJECT.key_of,
        kept_in=KeptIn.POSTGRES,
    )(PER_PROJECT.fold)
    app.projection("table", on=("analysis.*",), initial=dict)(PER_PROJECT.fold)
    service = ProjectionReplay(app, "team.app", store.edges, "one")
    middle = events[50].timestamp
    report = await service.replay_projection("per-project", middle)
    assert report.is_switched
    live = await store.edges.store.live_row("team", "per-project", "p0")
    assert live is not None
    kept = [event for event in events if event.timestamp >= middle]
    assert live.row.decoded() == folded(PER_PROJECT, kept)["p0"]
    with pytest.raises(UnknownProjection, match="per-project"):
        await service.replay_projection("nobody")
    with pytest.raises(TableRebuiltByWorkers):
        await service.replay_projection("table")


async def test_a_state_is_read_as_of_a_time_and_as_of_a_version(store: Store) -> None:
    events = files(200, aggregates=10)
    await store.put(events)
    for projection in (PER_FILE, PER_PROJECT):
        key = projection.key_of(events[0])
        own = [event for event in events if projection.key_of(event) == key]
        middle = own[len(own) // 2].timestamp
        before = [event for event in own if event.timestamp <= middle]
        at_time = await state_as_of(projection, store.edges.history, key, AsOf(time=middle))
        at_version = await state_as_of(projection, store.edges.history, key, AsOf(version=3))
        assert at_time is not None
        assert at_version is not None
        assert at_time.state == folded(projection, before)[key]
        assert at_time.events == len(before)
        assert at_version.events == 3
        nobody = await state_as_of(projection, store.edges.history, "SourceFile/x", AsOf())
        assert nobody is None


async def test_as_of_a_version_of_an_aggregate_is_its_own_version(store: Store) -> None:
    versioned = [
        replace_version(event, number + 5) for number, event in enumerate(files(4, aggregates=1))
    ]
    history = Versioned(versioned)
    past = await state_as_of(PER_FILE, history, versioned[0].key, AsOf(version=6))
    assert past is not None
    assert past.events == 2


def replace_version(event: Event[Any], version: int) -> Event[Any]:
    aggregate = event.aggregate
    assert aggregate is not None
    envelope = event.envelope._replace(aggregate=aggregate._replace(version=version))
    return Event(envelope, event.data)


class Versioned:
    """A history of one aggregate; the rest of History is not asked for."""

    def __init__(self, events: Sequence[Event[Any]]) -> None:
        self._events = events

    async def of_aggregate(self, *_: object) -> Sequence[Event[Any]]:
        return self._events

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(name)
