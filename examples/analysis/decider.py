"""The aggregate `Analysis` as three functions: nothing, decide, evolve."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from examples.analysis.aggregate import AnalysisRefused, AnalysisResults, AnalysisStatus
from schemas.event import Event, EventData
from schemas.events.domain import AnalysisCompleted, AnalysisStarted
from streams.decider import Decider
from streams.snapshot import SnapshotForm


@dataclass(frozen=True, slots=True, kw_only=True)
class StartAnalysis:
    """Begin with a package."""

    analysis_id: str
    project_id: str
    package: str
    files: int
    root: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CompleteAnalysis:
    """End with results."""

    results: AnalysisResults


AnalysisCommand = StartAnalysis | CompleteAnalysis


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisState:
    """What has to be known to decide."""

    analysis_id: str = ""
    project_id: str = ""
    package: str = ""
    status: AnalysisStatus = AnalysisStatus.NEW
    results: AnalysisResults | None = None


def decide(command: AnalysisCommand, state: AnalysisState) -> Sequence[EventData]:
    """What a command brings about. Raises AnalysisRefused."""
    match command, state.status:
        case StartAnalysis(), AnalysisStatus.NEW:
            return [_started(command)]
        case CompleteAnalysis(), AnalysisStatus.RUNNING:
            return [_completed(command.results, state)]
    raise AnalysisRefused(f"{type(command).__name__}: the analysis is {state.status}")


def evolve(state: AnalysisState, event: Event[Any]) -> AnalysisState:
    """The state after one more event."""
    match event.data:
        case AnalysisStarted() as data:
            return AnalysisState(
                analysis_id=data.analysis_id,
                project_id=data.project_id,
                package=data.package,
                status=AnalysisStatus.RUNNING,
            )
        case AnalysisCompleted() as data:
            return replace(state, status=AnalysisStatus.COMPLETED, results=AnalysisResults.of(data))
    return state


def _started(command: StartAnalysis) -> AnalysisStarted:
    return AnalysisStarted(
        analysis_id=command.analysis_id,
        project_id=command.project_id,
        package=command.package,
        files=command.files,
        root=command.root,
    )


def _completed(results: AnalysisResults, state: AnalysisState) -> AnalysisCompleted:
    return AnalysisCompleted(
        analysis_id=state.analysis_id,
        project_id=state.project_id,
        package=state.package,
        files=results.files,
        failed=results.failed,
        functions=results.functions,
        classes=results.classes,
        lines=results.lines,
        duration_ms=results.duration_ms,
    )


def _load(state: Mapping[str, Any]) -> AnalysisState:
    results = state["results"]
    return AnalysisState(
        analysis_id=state["analysis_id"],
        project_id=state["project_id"],
        package=state["package"],
        status=AnalysisStatus(state["status"]),
        results=None if results is None else AnalysisResults(**results),
    )


ANALYSIS: Final = Decider(
    aggregate_type="Analysis",
    initial=AnalysisState,
    decide=decide,
    evolve=evolve,
    snapshots=SnapshotForm(schema_version=1, dump=lambda state: state, load=_load),
)
