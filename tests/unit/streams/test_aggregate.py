"""An aggregate as an object, as the ADR draws it, and aggregates as they were."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from examples.analysis.aggregate import Analysis, AnalysisRefused, AnalysisResults, AnalysisStatus
from examples.analysis.decider import ANALYSIS
from schemas.event import Event, EventFactory
from schemas.events.domain import AnalysisCompleted, AnalysisFileProcessed, AnalysisStarted
from streams.aggregate import RootModel
from streams.aggregate_replay import EventReplay, replayed
from streams.errors import (
    AggregateNotFound,
    AggregateReadOnly,
    HistoryGap,
    UnknownAggregateType,
)
from streams.expectation import ANY_VERSION
from streams.memory.log import MemoryLog
from tests.unit.streams.appending import APPENDED, FakeAppender, factory_of, stored_in

START = datetime(2026, 1, 2, tzinfo=UTC)
RESULTS = AnalysisResults(files=1, failed=0, functions=2, classes=3, lines=4, duration_ms=5)

STARTED = AnalysisStarted(analysis_id="a-1", project_id="123", package="x", files=1, root="/")
PROCESSED = AnalysisFileProcessed(
    analysis_id="a-1", project_id="123", path="test.py", lines=4, functions=2, classes=3
)
COMPLETED = AnalysisCompleted(
    analysis_id="a-1",
    project_id="123",
    package="x",
    files=1,
    failed=0,
    functions=2,
    classes=3,
    lines=4,
    duration_ms=5,
)


def create_event(data: Any, version: int | None = None) -> Event[Any]:
    aggregate_id = "a-1:test.py" if data is PROCESSED else "a-1"
    event = factory_of().create(data, aggregate_id=aggregate_id)
    assert event.aggregate is not None
    aggregate = event.aggregate._replace(version=version)
    return Event(event.envelope._replace(aggregate=aggregate), data)


def test_the_adr_analysis_is_completed_by_its_history() -> None:
    events = [create_event(STARTED), create_event(PROCESSED), create_event(COMPLETED)]
    analysis = Analysis.from_history(events)
    assert analysis.status is AnalysisStatus.COMPLETED
    assert analysis.results == RESULTS
    assert (analysis.id, analysis.version) == ("a-1", 2)
    assert analysis.uncommitted_events == ()


def test_what_is_applied_is_seen_at_once_and_uncommitted_until_it_is_marked() -> None:
    analysis = Analysis("a-1", factory_of())
    analysis.start("p", "json", files=5, root="/")
    analysis.complete(RESULTS)
    assert analysis.status is AnalysisStatus.COMPLETED
    assert analysis.version == 2
    started, completed = analysis.uncommitted_events
    assert (started.type, completed.type) == ("analysis.started", "analysis.completed")
    assert started.aggregate == ("Analysis", "a-1", 1)
    assert completed.aggregate == ("Analysis", "a-1", 2)
    analysis.mark_committed()
    assert analysis.uncommitted_events == ()
    assert analysis.version == 2


def test_a_refused_command_leaves_the_aggregate_as_it_was() -> None:
    analysis = Analysis("a-1", factory_of())
    with pytest.raises(AnalysisRefused, match="is new, it cannot be completed"):
        analysis.complete(RESULTS)
    assert (analysis.version, analysis.uncommitted_events) == (0, ())


def test_an_aggregate_from_history_alone_can_be_looked_at_only() -> None:
    analysis = Analysis.from_history([create_event(STARTED, 1)])
    with pytest.raises(AggregateReadOnly, match="Analysis/a-1"):
        analysis.complete(RESULTS)
    assert analysis.version == 1


def test_an_aggregate_without_events_is_not_found() -> None:
    with pytest.raises(AggregateNotFound):
        Analysis.from_history([create_event(PROCESSED)])


def test_a_history_with_a_hole_is_refused() -> None:
    with pytest.raises(HistoryGap, match="version 2 is missing, 3 comes next"):
        Analysis.from_history([create_event(STARTED, 1), create_event(COMPLETED, 3)])


async def test_an_aggregate_is_replayed_up_to_a_version_or_a_time() -> None:
    log = MemoryLog()
    factory = EventFactory(APPENDED, "tests")
    appender = FakeAppender(log)
    for day, data in enumerate((STARTED, COMPLETED)):
        event = factory.create(data, timestamp=START + timedelta(days=day))
        await appender.append([event], ANY_VERSION)
    replay = EventReplay(stored_in(log), [RootModel(Analysis)])
    first = await replay.replay_events("Analysis", "a-1", 1)
    assert (first.version, first.state.status) == (1, AnalysisStatus.RUNNING)
    now = await replay.replay_events("Analysis", "a-1")
    assert (now.version, now.state.status) == (2, AnalysisStatus.COMPLETED)
    noon = START + timedelta(hours=12)
    at_noon = await replayed(ANALYSIS, stored_in(log), "a-1", target_time=noon)
    assert (at_noon.version, at_noon.state.status) == (1, AnalysisStatus.RUNNING)
    with pytest.raises(AggregateNotFound, match="Analysis/a-1"):
        await replay.replay_events("Analysis", "a-1", target_time=START - timedelta(days=1))
    with pytest.raises(AggregateNotFound, match="Analysis/nobody"):
        await replay.replay_events("Analysis", "nobody")
    with pytest.raises(UnknownAggregateType, match="'Order' has no model, only Analysis has"):
        await replay.replay_events("Order", "o-1")
