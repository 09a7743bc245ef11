"""The setup workflow: its saga decides, its steps answer, and every path comes to an end."""

from __future__ import annotations

import pytest

from examples.analysis.setup_saga import ROLLBACK, STEP, STEP_S, SetupState, SetupWorkflowSaga
from examples.analysis.setup_workflow import PROFILES, register, session_id
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
from streams.app import App
from streams.sagas.course import SagaStatus
from streams.sagas.saga import CancelDeadline, Deadline
from streams.testing.apps import AppScenario
from streams.testing.sagas import SagaScenario

STEP_DEADLINE = Deadline(STEP, after_s=STEP_S)
ROLLBACK_DEADLINE = Deadline(ROLLBACK, after_s=STEP_S)
INSTALLING = SetupStepInstallStarted(session_id="s1", project_id="core")
COMPLETED = SetupSessionCompleted(session_id="s1", project_id="core")
ROLLED_BACK = SetupStepRollbackCompleted(session_id="s1", project_id="core")


def started(profile: str = "python") -> SetupSessionStarted:
    return SetupSessionStarted(session_id="s1", profile_id=profile, project_id="core", user_id=None)


def validating(profile: str = "python") -> SetupStepValidateStarted:
    return SetupStepValidateStarted(session_id="s1", profile_id=profile, project_id="core")


def validated(reason: str | None = None) -> SetupStepValidateCompleted:
    return SetupStepValidateCompleted(
        session_id="s1", project_id="core", success=reason is None, reason=reason
    )


def installed(reason: str | None = None) -> SetupStepInstallCompleted:
    return SetupStepInstallCompleted(
        session_id="s1", project_id="core", success=reason is None, reason=reason
    )


def failed(reason: str) -> SetupSessionFailed:
    return SetupSessionFailed(session_id="s1", project_id="core", reason=reason)


def rolling_back(reason: str) -> SetupStepRollbackStarted:
    return SetupStepRollbackStarted(session_id="s1", project_id="core", reason=reason)


def setup() -> SagaScenario[SetupState]:
    return SagaScenario(SetupWorkflowSaga())


def setup_app() -> App:
    app = App("setup")
    register(app)
    return app


def test_a_session_begins_with_validation_under_a_deadline() -> None:
    setup().when(started(), times=2).then(validating(), STEP_DEADLINE).then_waiting_for(STEP)


def test_what_is_valid_is_installed_and_then_the_session_is_completed() -> None:
    story = setup().given(started())
    story.when(validated(), times=2).then(INSTALLING, STEP_DEADLINE)
    ended = story.given(validated()).when(installed(), times=2).then(COMPLETED)
    ended.then_status(SagaStatus.COMPLETED).then_waiting_for()


def test_what_is_not_valid_fails_the_session_with_nothing_to_take_back() -> None:
    ended = setup().given(started()).when(validated("unknown profile"), times=2)
    ended.then(failed("unknown profile")).then_status(SagaStatus.COMPENSATED).then_waiting_for()


def test_an_installation_that_fails_is_taken_back_before_the_session_fails() -> None:
    story = setup().given(started(), validated())
    undoing = story.when(installed("disk full"), times=2)
    undoing.then(rolling_back("disk full"), CancelDeadline(STEP), ROLLBACK_DEADLINE)
    undoing.then_status(SagaStatus.COMPENSATING).then_waiting_for(ROLLBACK)
    ended = story.given(installed("disk full")).when(ROLLED_BACK, times=2)
    ended.then(failed("disk full")).then_status(SagaStatus.COMPENSATED).then_waiting_for()


def test_a_validation_that_takes_too_long_fails_the_session() -> None:
    ended = setup().given(started()).when_passed(STEP, times=2)
    ended.then(failed("Validation took too long")).then_status(SagaStatus.COMPENSATED)


def test_an_installation_that_takes_too_long_is_taken_back() -> None:
    story = setup().given(started(), validated())
    story.when_passed(STEP, times=2).then(
        rolling_back("Installation took too long"), CancelDeadline(STEP), ROLLBACK_DEADLINE
    )
    late = story.given_passed(STEP).when(installed())
    late.then().then_status(SagaStatus.COMPENSATING)
    story.when(ROLLED_BACK).then(failed("Installation took too long"))


def test_a_way_back_that_does_not_answer_is_asked_for_again() -> None:
    story = setup().given(started(), validated(), installed("disk full"))
    story.when_passed(ROLLBACK, times=2).then(rolling_back("disk full"), ROLLBACK_DEADLINE)


def test_a_session_that_is_over_is_left_alone() -> None:
    story = setup().given(started(), validated(), installed())
    story.when(validated()).then_left_aside()
    story.when(started()).then_left_aside()


@pytest.mark.parametrize("profile", sorted(PROFILES))
async def test_a_known_profile_goes_the_whole_way(profile: str) -> None:
    outcome = await AppScenario(setup_app()).when(started(profile), times=2)
    outcome.then(validating(profile), validated(), INSTALLING, installed(), COMPLETED)


async def test_an_unknown_profile_fails_at_validation() -> None:
    outcome = await AppScenario(setup_app()).when(started("cobol"), times=2)
    reason = "unknown profile cobol"
    outcome.then(validating("cobol"), validated(reason), failed(reason))


async def test_the_way_back_answers() -> None:
    outcome = await AppScenario(setup_app()).when(rolling_back("disk full"), times=2)
    outcome.then(ROLLED_BACK)


def test_a_session_has_one_id_per_run_project_and_profile() -> None:
    ids = {
        session_id(run, project, profile)
        for run in ("run-1", "run-2")
        for project in ("core", "tools")
        for profile in PROFILES
    }
    assert len(ids) == 2 * 2 * len(PROFILES)
    assert session_id("run-1", "core", "go") == session_id("run-1", "core", "go")
