"""The setup workflow of the ADR: validate, install, then completed or failed.

`SetupWorkflowSaga` decides the next step from each event; the handlers here do the work of a step.
"""

from examples.analysis.plan import stable_id
from examples.analysis.setup_saga import SetupWorkflowSaga
from schemas.event import Event
from schemas.events.domain import (
    SetupStepInstallCompleted,
    SetupStepInstallStarted,
    SetupStepRollbackCompleted,
    SetupStepRollbackStarted,
    SetupStepValidateCompleted,
    SetupStepValidateStarted,
)
from streams.app import App
from streams.context import Context

PROFILES = frozenset({"python", "typescript", "go"})


def register(app: App) -> None:
    """Add the saga and the steps of the workflow to an app."""
    app.add_saga(SetupWorkflowSaga())
    app.on(SetupStepValidateStarted)(validate_step)
    app.on(SetupStepInstallStarted)(install_step)
    app.on(SetupStepRollbackStarted)(rollback_step)


def session_id(run_id: str, project_id: str, profile_id: str) -> str:
    """The id of the setup session of one project and profile in one run."""
    return stable_id(run_id, project_id, profile_id)


async def validate_step(event: Event[SetupStepValidateStarted], context: Context) -> None:
    """Step: a profile is valid when it is known."""
    data = event.data
    known = data.profile_id in PROFILES
    await context.publish(
        SetupStepValidateCompleted(
            session_id=data.session_id,
            project_id=data.project_id,
            success=known,
            reason=None if known else f"unknown profile {data.profile_id}",
        ),
        aggregate_id=data.session_id,
    )


async def install_step(event: Event[SetupStepInstallStarted], context: Context) -> None:
    """Step: the reference application has nothing to install, so an installation succeeds."""
    data = event.data
    await context.publish(
        SetupStepInstallCompleted(
            session_id=data.session_id, project_id=data.project_id, success=True, reason=None
        ),
        aggregate_id=data.session_id,
    )


async def rollback_step(event: Event[SetupStepRollbackStarted], context: Context) -> None:
    """Step: with nothing installed there is nothing to remove."""
    data = event.data
    await context.publish(
        SetupStepRollbackCompleted(session_id=data.session_id, project_id=data.project_id),
        aggregate_id=data.session_id,
    )
