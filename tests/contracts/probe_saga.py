"""A saga of tests: it publishes, appends, waits for a reply, and takes back what failed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from schemas.event import Event, EventData
from schemas.events.domain import (
    AnalysisStarted,
    SetupSessionCompleted,
    SetupSessionFailed,
    SetupSessionStarted,
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

REPLY = "reply"
HOUR_S = 3_600.0


class ProbeSaga(Saga[int]):
    """Its state is how many events it has taken in. The profile says how the session goes."""

    name = "probe"
    started_by: ClassVar[Sequence[type[EventData]]] = (SetupSessionStarted,)
    continued_by: ClassVar[Sequence[type[EventData]]] = (SetupStepValidateCompleted,)

    def __init__(self, reply_s: float = HOUR_S) -> None:
        self.reply_s = reply_s

    def correlate(self, event: Event[Any]) -> str:
        return str(event.data.session_id)

    def initial(self) -> int:
        return 0

    def evolve(self, state: int, event: Event[Any]) -> int:
        return state + 1

    def decide(self, state: int, event: Event[Any]) -> Sequence[Reaction]:
        match event.data:
            case SetupSessionStarted() as data:
                return [
                    Emit(
                        SetupStepValidateStarted(
                            session_id=data.session_id,
                            profile_id=data.profile_id,
                            project_id=data.project_id,
                        )
                    ),
                    Emit(analysis_of(data.session_id)),
                    Deadline(REPLY, after_s=self.reply_s),
                ]
            case SetupStepValidateCompleted(success=True) as data:
                done = SetupSessionCompleted(session_id=data.session_id, project_id=data.project_id)
                return [CancelDeadline(REPLY), Emit(done), Complete()]
            case SetupStepValidateCompleted(reason="raise"):
                raise ValueError("the saga cannot decide on that")
            case SetupStepValidateCompleted(reason="wait") as data:
                return [Deadline(REPLY, after_s=self.reply_s)]
            case SetupStepValidateCompleted():
                return [Compensate()]
            case DeadlinePassed(key=key) if key.endswith("raise"):
                raise OSError("the saga cannot decide on that")
            case DeadlinePassed(key=key):
                failed = SetupSessionFailed(session_id=key, project_id="p", reason="too late")
                return [Emit(failed), Complete()]
        return []

    def compensate(self, state: int) -> Sequence[Emit]:
        undo = SetupStepRollbackStarted(session_id="s", project_id="p", reason=f"{state} steps")
        return [Emit(undo)]


def analysis_of(session_id: str) -> AnalysisStarted:
    """The appended event of a session."""
    return AnalysisStarted(
        analysis_id=f"of-{session_id}", project_id="p", package=session_id, files=1, root="/"
    )


def session(session_id: str, profile: str = "python") -> SetupSessionStarted:
    """What starts a course."""
    return SetupSessionStarted(
        session_id=session_id, profile_id=profile, project_id="p", user_id=None
    )


def reply(session_id: str, *, success: bool = True, reason: str = "") -> SetupStepValidateCompleted:
    """What carries a course on."""
    return SetupStepValidateCompleted(
        session_id=session_id, project_id="p", success=success, reason=reason
    )
