"""An app whose course is known: it begins a validation, and cannot go through with it."""

from __future__ import annotations

from schemas.event import Event
from schemas.events.domain import SetupSessionStarted, SetupStepValidateStarted
from streams.app import App
from streams.context import Context

app = App("traced")


@app.on(SetupSessionStarted)
async def begin(event: Event[SetupSessionStarted], context: Context) -> None:
    """Emit the next step."""
    data = event.data
    await context.publish(
        SetupStepValidateStarted(
            session_id=data.session_id, project_id=data.project_id, profile_id=data.profile_id
        ),
        aggregate_id=data.session_id,
    )


@app.on(SetupStepValidateStarted)
async def refuse(event: Event[SetupStepValidateStarted], context: Context) -> None:
    """Fail for ever."""
    raise ValueError("no such profile")


app.projection("sessions", on=("setup.*",), initial=dict)(lambda state, event: {"last": event.id})
