"""The app that commands are run on: two projections in rows, a table, and a handler."""

from schemas.event import Event
from schemas.events.domain import AnalysisFileProcessed, NotificationSent
from streams.app import App
from streams.context import Context
from streams.projection import KeptIn
from tests.integration.projections.stored import total

app = App("commanded")

app.projection(
    "per-project",
    on=("analysis.*",),
    initial=dict,
    key=lambda event: str(event.data.project_id),
    kept_in=KeptIn.POSTGRES,
)(total)

app.projection("per-file", on=("analysis.*",), initial=dict, kept_in=KeptIn.POSTGRES)(total)

app.projection("table", on=("analysis.*",), initial=dict)(total)


@app.on("analysis.file.processed")
async def notify(event: Event[AnalysisFileProcessed], context: Context) -> None:
    """Tells the project that a file was processed."""
    await context.publish(
        NotificationSent(
            notification_id=event.id,
            project_id=event.data.project_id,
            user_id=None,
            subject=f"{event.data.lines} lines",
        ),
        aggregate_id=event.id,
    )
