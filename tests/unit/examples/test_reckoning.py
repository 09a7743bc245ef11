"""The sums of a run: whole only when everything acknowledged is everywhere, once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from examples.analysis.app import app
from examples.analysis.reckoning import (
    EVERY_EVENT,
    Evidence,
    Reckoning,
    difference,
    fold_all,
    reckon,
    shown_in,
    total,
)
from schemas.catalog import Catalog
from schemas.event import Event, EventFactory
from schemas.events.domain import AnalysisCompleted, AnalysisFileProcessed, AnalysisStarted
from schemas.events.plugin import PluginMetricRecorded

CATALOG = Catalog.load()
ROOM = "project.core"
FILES = 3


@pytest.fixture(scope="module")
def events() -> Sequence[Event[Any]]:
    """One analysis of three files, and a metric that no browser sees."""
    factory = EventFactory(CATALOG, "test", clock=lambda: datetime(2026, 11, 23, 14, tzinfo=UTC))
    started = AnalysisStarted(
        analysis_id="a1", project_id="core", package="core", files=FILES, root="/src"
    )
    completed = AnalysisCompleted(
        analysis_id="a1",
        project_id="core",
        package="core",
        files=FILES,
        failed=0,
        functions=6,
        classes=3,
        lines=30,
        duration_ms=1,
    )
    metric = PluginMetricRecorded(plugin="p", metric="m", value=1.0, project_id="core")
    return [
        factory.create(started),
        *(
            factory.create(_file(f"{number}.py"), aggregate_id=f"{number}")
            for number in range(FILES)
        ),
        factory.create(completed),
        factory.create(metric),
    ]


@pytest.fixture
def whole(events: Sequence[Event[Any]]) -> Evidence:
    """What all places say when nothing is missing."""
    return Evidence(
        acknowledged=events,
        stored=[event.id for event in events],
        tables=fold_all(events, app.projections),
        shown=[event.id for event in events[:-1]],
        rooms=frozenset({ROOM}),
    )


def reckoned(evidence: Evidence) -> Reckoning:
    return reckon(evidence, app.projections, CATALOG)


def test_a_run_is_whole_when_everything_is_everywhere(whole: Evidence) -> None:
    reckoning = reckoned(whole)
    assert reckoning.is_whole
    assert reckoning.acknowledged == reckoning.stored == reckoning.projected == FILES + 3
    assert reckoning.delivered == reckoning.expected_delivered == FILES + 2


def test_a_missing_row_is_lost(whole: Evidence) -> None:
    reckoning = reckoned(replace(whole, stored=whole.stored[1:]))
    assert (reckoning.lost, reckoning.duplicates) == (1, 0)
    assert reckoning.stored == reckoning.acknowledged - 1
    assert not reckoning.is_whole


def test_a_missing_frame_is_lost(whole: Evidence) -> None:
    reckoning = reckoned(replace(whole, shown=whole.shown[:-1]))
    assert (reckoning.lost, reckoning.duplicates) == (1, 0)
    assert reckoning.delivered == reckoning.expected_delivered - 1


@pytest.mark.parametrize(
    ("projection", "field"),
    [("project-totals", "lines"), ("analysis-progress", "processed"), (EVERY_EVENT, "*")],
)
def test_a_missing_increment_of_any_table_is_lost(
    whole: Evidence, projection: str, field: str
) -> None:
    lowered = _changed(whole, projection, field, by=-1)
    assert (lowered.lost, lowered.duplicates) == (1, 0)
    assert not lowered.is_whole


def test_an_increment_too_much_is_a_duplicate(whole: Evidence) -> None:
    raised = _changed(whole, "project-totals", "files", by=1)
    assert (raised.lost, raised.duplicates) == (0, 1)


def test_a_count_that_no_event_explains_makes_a_run_not_whole(whole: Evidence) -> None:
    [(hour, state)] = whole.tables[EVERY_EVENT].items()
    tables = {**whole.tables, EVERY_EVENT: {hour: {**state, "ghost.seen": 1}}}
    reckoning = reckoned(replace(whole, tables=tables))
    assert reckoning.projected == reckoning.acknowledged + 1
    assert not reckoning.is_whole


def test_a_row_or_a_frame_that_is_there_twice_is_a_duplicate(whole: Evidence) -> None:
    twice_stored = reckoned(replace(whole, stored=[*whole.stored, whole.stored[0]]))
    twice_shown = reckoned(replace(whole, shown=[*whole.shown, whole.shown[0]]))
    assert (twice_stored.lost, twice_stored.duplicates) == (0, 1)
    assert (twice_shown.lost, twice_shown.duplicates) == (0, 1)


def test_events_of_rooms_that_were_not_joined_are_not_expected(
    events: Sequence[Event[Any]],
) -> None:
    assert shown_in({"project.other"}, events, CATALOG) == set()
    assert len(shown_in({ROOM}, events, CATALOG)) == FILES + 2


def test_what_a_table_had_before_a_run_is_not_of_the_run(whole: Evidence) -> None:
    assert total(difference(whole.tables, whole.tables)[EVERY_EVENT]) == 0
    assert difference(whole.tables, {}) == whole.tables


def _file(path: str) -> AnalysisFileProcessed:
    return AnalysisFileProcessed(
        analysis_id="a1",
        project_id="core",
        path=path,
        lines=10,
        functions=2,
        classes=1,
        error=None,
        imports=1,
    )


def _changed(whole: Evidence, projection: str, field: str, *, by: int) -> Reckoning:
    """The sums after one field of one entry was changed; `*` is any field."""
    [(key, state)] = whole.tables[projection].items()
    name = next(iter(state)) if field == "*" else field
    entry = {key: {**state, name: state[name] + by}}
    return reckoned(replace(whole, tables={**whole.tables, projection: entry}))


def test_a_row_or_a_frame_that_nobody_was_promised_makes_a_run_not_whole(whole: Evidence) -> None:
    assert not reckoned(replace(whole, stored=[*whole.stored, "unknown"])).is_whole
    assert not reckoned(replace(whole, shown=[*whole.shown, "never-broadcast"])).is_whole


def test_an_entry_that_no_event_explains_is_a_duplicate(whole: Evidence) -> None:
    totals = {**whole.tables["project-totals"], "ghost": {"files": 1}}
    tables = {**whole.tables, "project-totals": totals}
    assert reckoned(replace(whole, tables=tables)).duplicates == 1


def test_a_text_that_is_not_what_the_events_give_is_lost(whole: Evidence) -> None:
    [(key, state)] = whole.tables["analysis-progress"].items()
    progress = {key: {**state, "status": "running"}}
    tables = {**whole.tables, "analysis-progress": progress}
    assert reckoned(replace(whole, tables=tables)).lost == 1
