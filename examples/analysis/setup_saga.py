"""The saga of the setup workflow: validate, install, and take back what failed or took too long."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final

from schemas.event import Event, EventData
from schemas.events.domain import (
    SetupSessionCompleted,
    SetupSessionFailed,
    SetupSessionStarted,
    SetupStepInstallCompleted,
    SetupStepInstallStarted,
    SetupStepRollbackCompleted,
    SetupStepRollbackStarted,
    SetupStepValidateCompleted,
    SetupStepValidateStarted,
)
from streams.sagas.saga import (
    CancelDeadline,
    Compensate,
    Complete,
    Deadline,
    DeadlinePassed,
    Emit,
    Reaction,
    Saga,
)

STEP: Final = "step"
"""The deadline of whichever step is in work."""

ROLLBACK: Final = "rollback"
"""The deadline of the way back, which is asked for again until it is done."""

STEP_S: Final = 120.0
"""How long a step may take, in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupState:
    """What has to be known of a session to go on with it."""

    session_id: str = ""
    project_id: str = ""
    profile_id: str = ""
    is_installing: bool = False
    failure: str = ""
    failed_by: str | None = None
    """The id of the event at which it failed; what comes later changes nothing about that."""

    def failing(self, event: Event[Any], failure: str) -> "SetupState":
        """The state of a session that fails at this event, unless it has failed before."""
        if self.failed_by is not None:
            return self
        return replace(self, failure=failure, failed_by=event.id)


class SetupWorkflowSaga(Saga[SetupState]):
    """Takes a setup session from its start to its end, whatever happens to its steps."""

    name = "setup-workflow"
    started_by: ClassVar[Sequence[type[EventData]]] = (SetupSessionStarted,)
    continued_by: ClassVar[Sequence[type[EventData]]] = (
        SetupStepValidateCompleted,
        SetupStepInstallCompleted,
        SetupStepRollbackCompleted,
    )

    def __init__(self, step_s: float = STEP_S) -> None:
        """`step_s`: how long a step may take, in seconds."""
        self._step_s = step_s

    def correlate(self, event: Event[Any]) -> str:
        """See Saga."""
        return str(event.data.session_id)

    def initial(self) -> SetupState:
        """See Saga."""
        return SetupState()

    def evolve(self, state: SetupState, event: Event[Any]) -> SetupState:
        """See Saga."""
        match event.data:
            case SetupSessionStarted() as data:
                return SetupState(
                    session_id=data.session_id,
                    project_id=data.project_id,
                    profile_id=data.profile_id,
                )
            case SetupStepValidateCompleted(success=True):
                return replace(state, is_installing=True)
            case SetupStepValidateCompleted(reason=reason):
                return state.failing(event, reason or "Validation failed")
            case SetupStepInstallCompleted(success=False, reason=reason):
                return state.failing(event, reason or "Installation failed")
            case DeadlinePassed(deadline=deadline) if deadline == STEP:
                step = "Installation" if state.is_installing else "Validation"
                return state.failing(event, f"{step} took too long")
        return state

    def decide(self, state: SetupState, event: Event[Any]) -> Sequence[Reaction]:
        """See Saga.

        A step that answers after the session has failed changes nothing: the way back is behind it,
        because the events of one session are worked on in order.
        """
        if state.failed_by == event.id:
            return self._fail(state)
        match event.data:
            case SetupSessionStarted():
                return [Emit(self._validate(state)), Deadline(STEP, after_s=self._step_s)]
            case SetupStepValidateCompleted() if state.failed_by is None:
                return [Emit(self._install(state)), Deadline(STEP, after_s=self._step_s)]
            case SetupStepInstallCompleted() if state.failed_by is None:
                return [Emit(self._completed(state)), Complete()]
            case SetupStepRollbackCompleted():
                return [Emit(self._failed(state)), Complete()]
            case DeadlinePassed(deadline=deadline) if deadline == ROLLBACK:
                return [Compensate(), Deadline(ROLLBACK, after_s=self._step_s)]
        return []

    def _fail(self, state: SetupState) -> Sequence[Reaction]:
        """A session ends as failed once there is nothing left to take back."""
        if not state.is_installing:
            return [Emit(self._failed(state)), Compensate()]
        return [Compensate(), CancelDeadline(STEP), Deadline(ROLLBACK, after_s=self._step_s)]

    def compensate(self, state: SetupState) -> Sequence[Emit]:
        """See Saga. Only an installation leaves something behind."""
        if not state.is_installing:
            return ()
        return [
            Emit(
                SetupStepRollbackStarted(
                    session_id=state.session_id,
                    project_id=state.project_id,
                    reason=state.failure,
                )
            )
        ]

    @staticmethod
    def _validate(state: SetupState) -> SetupStepValidateStarted:
        return SetupStepValidateStarted(
            session_id=state.session_id,
            profile_id=state.profile_id,
            project_id=state.project_id,
        )

    @staticmethod
    def _install(state: SetupState) -> SetupStepInstallStarted:
        return SetupStepInstallStarted(session_id=state.session_id, project_id=state.project_id)

    @staticmethod
    def _completed(state: SetupState) -> SetupSessionCompleted:
        return SetupSessionCompleted(session_id=state.session_id, project_id=state.project_id)

    @staticmethod
    def _failed(state: SetupState) -> SetupSessionFailed:
        return SetupSessionFailed(
            session_id=state.session_id,
            project_id=state.project_id,
            reason=state.failure,
        )
