"""The setup workflow of the ADR: validate, install, then completed or failed.

`SetupWorkflowSaga` decides the next step from each event; `ValidateStep` and `InstallStep` do the
work.
"""

from examples.analysis.plan import stable_id
from schemas.event import Event
from schemas.events.domain import (
    SetupSessionCompleted,
    SetupSessionFailed,
    SetupSessionStarted,
    SetupStepInstallCompleted,
    SetupStepInstallStarted,
    SetupStepValidateCompleted,
    SetupStepValidateStarted,
)
from streams.app import App
from streams.context import Context

PROFILES = frozenset({"python", "typescript", "go"})


def register(app: App) -> None:
    """Add the workflow's handlers to an app."""
    app.on(SetupSessionStarted)(on_setup_started)
    app.on(SetupStepValidateStarted)(validate_step)
    app.on(SetupStepValidateCompleted)(on_validation_completed)
    app.on(SetupStepInstallStarted)(install_step)
    app.on(SetupStepInstallCompleted)(on_install_completed)


def session_id(run_id: str, project_id: str, profile_id: str) -> str:
    """The id of the setup session of one project and profile in one run."""
    return stable_id(run_id, project_id, profile_id)


async def on_setup_started(event: Event[SetupSessionStarted], context: Context) -> None:
    """Saga: a session begins with validation."""
    data = event.data
    await context.publish(
        SetupStepValidateStarted(
            session_id=data.session_id, profile_id=data.profile_id, project_id=data.project_id
        ),
        aggregate_id=data.session_id,
    )


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


async def on_validation_completed(
    event: Event[SetupStepValidateCompleted], context: Context
) -> None:
    """Saga: install what is valid, fail what is not."""
    data = event.data
    if data.success:
        await context.publish(
            SetupStepInstallStarted(session_id=data.session_id, project_id=data.project_id),
            aggregate_id=data.session_id,
        )
    else:
        await context.publish(
            SetupSessionFailed(
                session_id=data.session_id,
                project_id=data.project_id,
                reason=data.reason or "Validation failed",
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


async def on_install_completed(event: Event[SetupStepInstallCompleted], context: Context) -> None:
    """Saga: the session ends as the installation did."""
    data = event.data
    ending = (
        SetupSessionCompleted(session_id=data.session_id, project_id=data.project_id)
        if data.success
        else SetupSessionFailed(
            session_id=data.session_id,
            project_id=data.project_id,
            reason=data.reason or "Installation failed",
        )
    )
    await context.publish(ending, aggregate_id=data.session_id)
