"""The team app `analysis`: notifications, metrics, the setup workflow, and three projections."""

from examples.analysis import setup_workflow
from examples.analysis.faults import Faults
from examples.analysis.read_models import count_per_type, hour_of, progress, totals
from schemas.event import Event
from schemas.events.domain import AnalysisCompleted, NotificationSent
from schemas.events.plugin import PluginMetricRecorded
from streams.app import App
from streams.context import Context

app = App("analysis")

faults = Faults.from_environment()

setup_workflow.register(app)


@app.on("analysis.completed")
async def notify(event: Event[AnalysisCompleted], context: Context) -> None:
    """NotificationService: tells the project that its analysis is there."""
    faults.strike("notify", event)
    data = event.data
    await context.publish(
        NotificationSent(
            notification_id=event.id,
            project_id=data.project_id,
            user_id=event.metadata.user_id,
            subject=f"{data.package}: {data.files} files analysed, {data.failed} broken",
        ),
        aggregate_id=event.id,
    )


@app.on("analysis.*", can_handle=lambda event: event.type == AnalysisCompleted.event_type)
async def record_metric(event: Event[AnalysisCompleted], context: Context) -> None:
    """MetricsService: how long each analysis took."""
    await context.publish(
        PluginMetricRecorded(
            plugin="analysis",
            metric="analysis.duration_ms",
            value=float(event.data.duration_ms),
            project_id=event.data.project_id,
        )
    )


app.projection(
    "analysis-progress",
    on=("analysis.*",),
    initial=dict,
    key=lambda event: str(event.data.analysis_id),
)(faults.around("analysis-progress", progress))

app.projection(
    "project-totals",
    on=("analysis.file.processed",),
    initial=dict,
    key=lambda event: str(event.data.project_id),
)(totals)

app.projection("hourly-counts", on=("*",), initial=dict, key=hour_of)(count_per_type)
