"""A second team's app, written for the first release of `analysis.file.processed`."""

from typing import Any

from schemas.event import Event
from schemas.events.domain import AnalysisCompleted, NotificationSent
from streams.app import App
from streams.context import Context
from streams.projection import State

app = App("auditor")


@app.on("analysis.completed")
async def tell(event: Event[AnalysisCompleted], context: Context) -> None:
    """Tells the auditors of each analysis."""
    await context.publish(
        NotificationSent(
            notification_id=f"audit-{event.id}",
            project_id=event.data.project_id,
            user_id=None,
            subject=f"{event.data.package} can be audited",
        ),
        aggregate_id=f"audit-{event.id}",
    )


@app.projection(
    "audited", on=("analysis.*",), initial=dict, key=lambda event: str(event.data.project_id)
)
def audited(state: State, event: Event[Any]) -> State:
    """Events by type and schema version, and the lines of all files, per project."""
    seen = f"{event.type} {event.version}"
    state[seen] = state.get(seen, 0) + 1
    if event.type == "analysis.file.processed":
        state["lines"] = state.get("lines", 0) + event.data.lines
    return state
