"""The three projections of the reference application."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from examples.analysis.app import app
from examples.analysis.reckoning import fold_all
from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.event import Event, EventFactory
from schemas.events.domain import (
    AnalysisCompleted,
    AnalysisFileProcessed,
    AnalysisFileProcessedV1_0,
    AnalysisStarted,
)

CATALOG = Catalog.load()
CODEC = Codec(CATALOG)
START = datetime(2026, 11, 23, 14, 5, tzinfo=UTC)
STARTED = AnalysisStarted(analysis_id="a1", project_id="core", package="lib", files=2, root="/src")
OF_OLD_RELEASE = AnalysisFileProcessedV1_0(
    analysis_id="a1",
    project_id="core",
    path="old.py",
    lines=10,
    functions=2,
    classes=1,
    error=None,
)
OF_NEW_RELEASE = AnalysisFileProcessed(
    analysis_id="a1",
    project_id="core",
    path="new.py",
    lines=5,
    functions=0,
    classes=0,
    error="SyntaxError: invalid syntax",
    imports=3,
)
COMPLETED = AnalysisCompleted(
    analysis_id="a1",
    project_id="core",
    package="lib",
    files=2,
    failed=1,
    functions=2,
    classes=1,
    lines=15,
    duration_ms=4,
)


def one_analysis() -> list[Event[Any]]:
    """A file of each schema version, one of them broken, as a worker reads them."""
    factory = EventFactory(CATALOG, "test")
    events = [
        factory.create(
            data, aggregate_id=f"aggregate-{second}", timestamp=START + timedelta(seconds=second)
        )
        for second, data in enumerate((STARTED, OF_OLD_RELEASE, OF_NEW_RELEASE, COMPLETED))
    ]
    return [CODEC.view(CODEC.encode(event)) for event in events]


def test_progress_tells_how_far_an_analysis_is() -> None:
    events = one_analysis()
    running = fold_all(events[:3], app.projections)["analysis-progress"]["a1"]
    assert (running["status"], running["processed"], running["failed"]) == ("running", 2, 1)
    completed = fold_all(events, app.projections)["analysis-progress"]["a1"]
    assert completed == {
        "project": "core",
        "package": "lib",
        "files": 2,
        "status": "completed",
        "processed": 2,
        "failed": 1,
        "events": 4,
    }


def test_totals_add_up_files_of_both_schema_versions() -> None:
    assert fold_all(one_analysis(), app.projections)["project-totals"] == {
        "core": {"files": 2, "lines": 15, "functions": 2, "classes": 1, "imports": 3, "failed": 1}
    }


def test_each_event_counts_once_in_its_hour() -> None:
    assert fold_all(one_analysis(), app.projections)["hourly-counts"] == {
        "2026-11-23T14": {
            "analysis.started": 1,
            "analysis.file.processed": 2,
            "analysis.completed": 1,
        }
    }
