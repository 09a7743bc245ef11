"""The aggregate `Analysis` of the ADR, as an object: started once, completed once.

The same in functions is `examples.analysis.decider`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, Self

from schemas.errors import WundrError
from schemas.event import Event
from schemas.events.domain import AnalysisCompleted, AnalysisStarted
from streams.aggregate import AggregateRoot


class AnalysisStatus(StrEnum):
    """How far an analysis is."""

    NEW = "new"
    RUNNING = "running"
    COMPLETED = "completed"


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisResults:
    """What was found in one package; `duration_ms` in milliseconds."""

    files: int
    failed: int
    functions: int
    classes: int
    lines: int
    duration_ms: int

    @classmethod
    def of(cls, data: AnalysisCompleted) -> Self:
        """The results that an event tells."""
        return cls(
            files=data.files,
            failed=data.failed,
            functions=data.functions,
            classes=data.classes,
            lines=data.lines,
            duration_ms=data.duration_ms,
        )


class AnalysisRefused(WundrError):
    """The analysis is not in a state in which this can be done."""

    code = "examples.analysis_refused"
    remedy = "Start an analysis once, and complete it once after that."


class Analysis(AggregateRoot):
    """One package that is analysed."""

    aggregate_type: ClassVar[str] = "Analysis"
    snapshot_version: ClassVar[int] = 1

    status: AnalysisStatus = AnalysisStatus.NEW
    project_id: str = ""
    package: str = ""
    results: AnalysisResults | None = None

    def start(self, project_id: str, package: str, *, files: int, root: str) -> None:
        """Begin. Raises AnalysisRefused when it has begun."""
        if self.status is not AnalysisStatus.NEW:
            raise AnalysisRefused(f"analysis {self.id} is {self.status}, it cannot be started")
        self.apply_event(
            AnalysisStarted(
                analysis_id=self.id, project_id=project_id, package=package, files=files, root=root
            )
        )

    def complete(self, results: AnalysisResults) -> None:
        """End with results. Raises AnalysisRefused unless it runs."""
        if self.status is not AnalysisStatus.RUNNING:
            raise AnalysisRefused(f"analysis {self.id} is {self.status}, it cannot be completed")
        self.apply_event(
            AnalysisCompleted(
                analysis_id=self.id,
                project_id=self.project_id,
                package=self.package,
                files=results.files,
                failed=results.failed,
                functions=results.functions,
                classes=results.classes,
                lines=results.lines,
                duration_ms=results.duration_ms,
            )
        )

    def when(self, event: Event[Any]) -> None:
        """See AggregateRoot."""
        match event.data:
            case AnalysisStarted() as data:
                self.status = AnalysisStatus.RUNNING
                self.project_id, self.package = data.project_id, data.package
            case AnalysisCompleted() as data:
                self.status = AnalysisStatus.COMPLETED
                self.results = AnalysisResults.of(data)

    def to_snapshot(self) -> Mapping[str, Any]:
        """See AggregateRoot."""
        return {
            "status": self.status,
            "project_id": self.project_id,
            "package": self.package,
            "results": self.results,
        }

    def from_snapshot(self, state: Mapping[str, Any]) -> None:
        """See AggregateRoot."""
        self.status = AnalysisStatus(state["status"])
        self.project_id, self.package = state["project_id"], state["package"]
        results = state["results"]
        self.results = None if results is None else AnalysisResults(**results)
