"""What the demonstration itself publishes.

The run, setup sessions, and one event of each other category.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from examples.analysis.plan import PackagePlan, projects_of, stable_id
from examples.analysis.setup_workflow import session_id
from schemas.event import Event, EventData, EventFactory
from schemas.events.domain import SetupSessionStarted
from schemas.events.integration import IntegrationRepositorySynced
from schemas.events.system import SystemRunCompleted, SystemRunStarted
from schemas.events.ui import UiDashboardOpened

USER = "demo"
PROFILES = ("python", "typescript", "cobol")
"""The last one is not known: its setup session fails validation, as the workflow must show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """Makes the events that frame a run."""

    factory: EventFactory
    run_id: str
    plans: Sequence[PackagePlan]

    def begin(self) -> Iterator[Event[Any]]:
        """The run starts; each project is synced, opened by a user, and set up."""
        projects = projects_of(self.plans)
        plans = {
            project: [plan for plan in self.plans if plan.project_id == project]
            for project in projects
        }
        yield self._event(
            SystemRunStarted(run_id=self.run_id, projects=projects, files=_files_in(self.plans))
        )
        for project, profile in zip(projects, PROFILES, strict=False):
            repository = stable_id(self.run_id, project)
            yield self._event(
                IntegrationRepositorySynced(
                    repository=repository,
                    project_id=project,
                    files=_files_in(plans[project]),
                    bytes=sum(plan.size for plan in plans[project]),
                ),
                repository,
            )
            yield self._event(UiDashboardOpened(project_id=project, user_id=USER))
            session = session_id(self.run_id, project, profile)
            yield self._event(
                SetupSessionStarted(
                    session_id=session, profile_id=profile, project_id=project, user_id=USER
                ),
                session,
            )

    def end(self, files: int) -> Event[Any]:
        """The run is over."""
        return self._event(
            SystemRunCompleted(run_id=self.run_id, projects=projects_of(self.plans), files=files)
        )

    def _event(self, data: EventData, aggregate_id: str | None = None) -> Event[Any]:
        return self.factory.create(data, aggregate_id=aggregate_id, correlation_id=self.run_id)


def _files_in(plans: Sequence[PackagePlan]) -> int:
    return sum(len(plan.files) for plan in plans)
