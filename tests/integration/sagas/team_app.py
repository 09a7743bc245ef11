"""The app of the tests on Kafka: the setup workflow, whose installation of `go` never answers."""

import os

from examples.analysis.setup_saga import SetupWorkflowSaga
from examples.analysis.setup_workflow import install_step, rollback_step, validate_step
from schemas.event import Event
from schemas.events.domain import (
    SetupStepInstallStarted,
    SetupStepRollbackStarted,
    SetupStepValidateStarted,
)
from streams.app import App
from streams.context import Context

STEP_S = float(os.environ.get("SAGA_TEST_STEP_S", "8"))
SILENT = "silent"
"""Sessions whose id begins so are never installed."""

app = App(os.environ.get("SAGA_TEST_APP", "sagas"))
app.add_saga(SetupWorkflowSaga(step_s=STEP_S))
app.on(SetupStepValidateStarted)(validate_step)
app.on(SetupStepRollbackStarted)(rollback_step)


@app.on(SetupStepInstallStarted)
async def install_or_hang(event: Event[SetupStepInstallStarted], context: Context) -> None:
    """Answers for some sessions alone."""
    if not event.data.session_id.startswith(SILENT):
        await install_step(event, context)
