"""The test kit holds what holds, and fails where it must."""

import itertools
from typing import Any

import pytest

from examples.analysis.aggregate import Analysis
from examples.first_event import app as first_app
from schemas.event import Event
from schemas.events.domain import AnalysisCompleted, AnalysisStarted, NotificationSent
from streams.app import App
from streams.context import Context
from streams.decider import Decider
from streams.testing.aggregates import AggregateScenario
from streams.testing.apps import AppScenario

STARTED = AnalysisStarted(analysis_id="a-1", project_id="p", package="x", files=1, root="/")
OTHER = AnalysisStarted(analysis_id="a-1", project_id="p", package="y", files=1, root="/")
COMPLETED = AnalysisCompleted(
    analysis_id="a-1",
    project_id="p",
    package="x",
    files=1,
    failed=0,
    functions=2,
    classes=3,
    lines=4,
    duration_ms=5,
)


class Refused(Exception):
    """Not again."""


def decide(command: str, state: int) -> list[AnalysisStarted]:
    if command == "refuse":
        raise Refused("no more than that")
    return [STARTED] if command == "always" or not state else []


COUNTED = Decider[str, int](
    aggregate_type="Analysis",
    initial=lambda: 0,
    decide=decide,
    evolve=lambda state, _event: state + 1,
)


def counted() -> AggregateScenario[str, int]:
    return AggregateScenario(COUNTED, "a-1")


def test_a_story_that_holds_passes() -> None:
    counted().when("once", times=3).then(STARTED).then_state(1)
    counted().given(STARTED).when("once").then()
    counted().given(STARTED, COMPLETED).then_state(2)
    counted().given(STARTED).when("refuse", times=2).refused(Refused, "no more")


def test_other_events_than_expected_fail_with_both_sides() -> None:
    with pytest.raises(AssertionError, match=r"(?s)expected:.*package='y'.*was:.*package='x'"):
        counted().when("once").then(OTHER)
    with pytest.raises(AssertionError, match=r"(?s)expected:\n  nothing.*package='x'"):
        counted().when("once").then()
    with pytest.raises(AssertionError, match=r"(?s)package='x'.*was:\n  nothing"):
        counted().given(STARTED).when("once").then(STARTED)


def test_a_command_that_does_something_again_fails_when_it_comes_twice() -> None:
    counted().when("always").then(STARTED)
    with pytest.raises(AssertionError, match="the command came again and brought something about"):
        counted().when("always", times=2)


def test_a_refusal_fails_where_events_are_expected_and_the_other_way_round() -> None:
    with pytest.raises(AssertionError, match="the command was refused") as failure:
        counted().when("refuse").then(STARTED)
    assert isinstance(failure.value.__cause__, Refused)
    with pytest.raises(AssertionError, match="not refused like this"):
        counted().when("once").refused(Refused)
    with pytest.raises(AssertionError, match=r"(?s)KeyError.*Refused\('no more than that'\)"):
        counted().when("refuse").refused(KeyError)
    with pytest.raises(AssertionError, match="with 'something else'"):
        counted().when("refuse").refused(Refused, "something else")


def test_another_state_fails() -> None:
    with pytest.raises(AssertionError, match=r"(?s)the state is another.*  2.*  1"):
        counted().when("once").then_state(2)
    with pytest.raises(AssertionError, match="function says yes to"):
        counted().given(STARTED).then_state(lambda state: state > 1)


def test_ids_and_times_are_the_same_in_every_run() -> None:
    runs = [counted().given(STARTED).when("always").events for _ in range(2)]
    assert runs[0] == runs[1]
    assert runs[0][0].aggregate == ("Analysis", "a-1", 2)


def test_an_aggregate_root_is_given_as_its_class() -> None:
    scenario = AggregateScenario(Analysis, "a-1").given(STARTED)
    outcome = scenario.when(lambda analysis: analysis.start("p", "x", files=1, root="/"))
    assert outcome.state.version == 1
    assert outcome.events == ()


NOTE = NotificationSent(
    notification_id="n", project_id="p", user_id=None, subject="x: 1 files analysed"
)


async def test_handlers_and_projections_are_told_in_one_story() -> None:
    outcome = await AppScenario(first_app).when(COMPLETED, times=2)
    [sent] = outcome.events
    assert sent.data.subject == "x: 1 files analysed"
    outcome.then_table("inbox", {"p": {"messages": ["x: 1 files analysed"]}})


async def test_what_was_given_is_folded_and_its_reactions_are_not_counted() -> None:
    before = await AppScenario(first_app).given(COMPLETED).when()
    before.then().then_table("inbox", {"p": {"messages": ["x: 1 files analysed"]}})


async def test_another_table_or_other_events_fail() -> None:
    outcome = await AppScenario(first_app).when(COMPLETED)
    with pytest.raises(AssertionError, match="other events were emitted"):
        outcome.then()
    with pytest.raises(AssertionError, match="the table 'inbox' is another"):
        outcome.then_table("inbox", {})
    with pytest.raises(AssertionError, match="there is no projection 'outbox'"):
        outcome.then_table("outbox", {})


def chance_app() -> App:
    app, numbers = App("chance"), itertools.count()

    @app.on("analysis.started")
    async def notify(event: Event[AnalysisStarted], context: Context) -> None:
        text = str(next(numbers))
        sent = NotificationSent(notification_id="n", project_id="p", user_id=None, subject=text)
        await context.publish(sent, aggregate_id="n")

    return app


async def test_a_handler_that_emits_otherwise_when_it_runs_again_fails_a_second_delivery() -> None:
    outcome = await AppScenario(chance_app()).when(STARTED)
    assert len(outcome.events) == 1
    with pytest.raises(AssertionError, match="emitted with other data"):
        await AppScenario(chance_app()).when(STARTED, times=2)


def forgetful_app() -> App:
    app, seen = App("forgetful"), list[str]()

    @app.on("analysis.started")
    async def notify(event: Event[AnalysisStarted], context: Context) -> None:
        for number in range(len(seen) + 1):
            sent = NotificationSent(
                notification_id=str(number), project_id="p", user_id=None, subject=""
            )
            await context.publish(sent, aggregate_id=str(number))
        seen.append(event.id)

    return app


async def test_a_handler_that_emits_more_when_it_runs_again_fails_a_second_delivery() -> None:
    with pytest.raises(AssertionError, match="delivered again, other events were emitted"):
        await AppScenario(forgetful_app()).when(STARTED, times=2)


async def test_a_handler_that_fails_is_told_and_can_be_expected() -> None:
    app = App("failing")

    @app.on("analysis.started")
    async def explode(event: Event[AnalysisStarted], context: Context) -> None:
        raise Refused("boom")

    outcome = await AppScenario(app).when(STARTED)
    outcome.then_failed("explode: Refused: boom")
    with pytest.raises(AssertionError, match="could not be handled"):
        outcome.then()
    with pytest.raises(AssertionError, match="nothing failed like this"):
        outcome.then_failed("bang")


async def test_events_of_types_without_a_key_find_their_aggregate() -> None:
    seen: list[Any] = []
    app = App("seeing")

    @app.on("notification.sent")
    async def see(event: Event[NotificationSent], context: Context) -> None:
        seen.append(event.aggregate)

    (await AppScenario(app).when(NOTE)).then()
    assert [aggregate.type for aggregate in seen] == ["Notification"]
