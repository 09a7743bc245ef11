"""The ADR's `Analysis` as an aggregate, by both of its forms."""

from typing import Any

import pytest

from examples.analysis.aggregate import Analysis, AnalysisRefused, AnalysisResults, AnalysisStatus
from examples.analysis.decider import ANALYSIS, AnalysisState, CompleteAnalysis, StartAnalysis
from schemas.events.domain import AnalysisCompleted, AnalysisStarted
from streams.testing.aggregates import AggregateScenario

RESULTS = AnalysisResults(files=5, failed=0, functions=38, classes=3, lines=1_325, duration_ms=42)
STARTED = AnalysisStarted(
    analysis_id="a-1", project_id="python", package="json", files=5, root="/python"
)
COMPLETED = AnalysisCompleted(
    analysis_id="a-1",
    project_id="python",
    package="json",
    files=5,
    failed=0,
    functions=38,
    classes=3,
    lines=1_325,
    duration_ms=42,
)

COMMANDS: dict[Any, dict[str, Any]] = {
    ANALYSIS: {
        "start": StartAnalysis(
            analysis_id="a-1", project_id="python", package="json", files=5, root="/python"
        ),
        "complete": CompleteAnalysis(results=RESULTS),
    },
    Analysis: {
        "start": lambda analysis: analysis.start("python", "json", files=5, root="/python"),
        "complete": lambda analysis: analysis.complete(RESULTS),
    },
}


@pytest.fixture(params=list(COMMANDS), ids=["functions", "root"])
def form(request: pytest.FixtureRequest) -> Any:
    return request.param


def test_a_new_analysis_is_started_once(form: Any) -> None:
    outcome = AggregateScenario(form, "a-1").when(COMMANDS[form]["start"], times=2).then(STARTED)
    assert outcome.state.status is AnalysisStatus.RUNNING


def test_a_running_analysis_is_completed_once(form: Any) -> None:
    AggregateScenario(form, "a-1").given(STARTED).when(COMMANDS[form]["complete"], times=2).then(
        COMPLETED
    ).then_state(lambda state: state.results == RESULTS)


@pytest.mark.parametrize(
    ("history", "command"),
    [
        ((), "complete"),
        ((STARTED,), "start"),
        ((STARTED, COMPLETED), "start"),
        ((STARTED, COMPLETED), "complete"),
    ],
)
def test_what_does_not_fit_is_refused(form: Any, history: Any, command: str) -> None:
    AggregateScenario(form, "a-1").given(*history).when(COMMANDS[form][command]).refused(
        AnalysisRefused
    )


def test_both_forms_come_to_the_same_state() -> None:
    root = AggregateScenario(Analysis, "a-1").given(STARTED)
    by_root = root.when(lambda analysis: analysis.complete(RESULTS)).state
    AggregateScenario(ANALYSIS, "a-1").given(STARTED, COMPLETED).then_state(
        AnalysisState(
            analysis_id=by_root.id,
            project_id=by_root.project_id,
            package=by_root.package,
            status=by_root.status,
            results=by_root.results,
        )
    )
