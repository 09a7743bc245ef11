"""Many failures of one kind bring about few alerts, and none is left uncounted."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.alert import OTHER, Alert, AlertLimits, is_alarming
from streams.parking.letter import LetterState
from tests.unit.streams.failed_letters import NOW, letter

MINUTE = timedelta(seconds=60)


def failure(at_s: float = 0, *, handler: str = "notify", reason: str = "ValueError") -> Alert:
    return Alert(
        app="team",
        group="team.main",
        handler=handler,
        reason=reason,
        state=LetterState.PARKED,
        count=1,
        tries=3,
        letter_id="team.main/notify/events.domain.low/2/1",
        event_id="e",
        event_type="order.placed",
        correlation_id=None,
        at=NOW + timedelta(seconds=at_s),
    )


@pytest.mark.parametrize(
    ("state", "tries", "is_one"),
    [
        (LetterState.PARKED, 1, True),
        (LetterState.WAITING, 3, False),
        (LetterState.WAITING, 4, True),
    ],
)
def test_a_parked_event_and_one_that_failed_more_than_three_times_are_alarming(
    state: LetterState, tries: int, is_one: bool
) -> None:
    assert is_alarming(letter(1, state, tries=tries)) == is_one


def test_ten_thousand_failures_within_a_minute_are_two_alerts() -> None:
    limits = AlertLimits()
    raised = [limits.take(failure(number / 1_000)) for number in range(10_000)]
    assert [alert for alert in raised if alert is not None] == [failure(0)]
    assert limits.next_due() == NOW + MINUTE
    assert list(limits.due(NOW + MINUTE - timedelta(milliseconds=1))) == []
    (counted,) = limits.due(NOW + MINUTE)
    assert counted.count == 9_999
    assert limits.next_due() is None


def test_an_alert_that_comes_after_the_interval_holds_what_was_counted() -> None:
    limits = AlertLimits()
    limits.take(failure(0))
    limits.take(failure(1))
    late = limits.take(failure(61))
    assert late is not None
    assert late.count == 2
    assert limits.rest() == []


def test_each_handler_and_reason_has_its_own_alerts() -> None:
    limits = AlertLimits()
    kinds = [("notify", "ValueError"), ("notify", "KeyError"), ("count", "KeyError")]
    raised = [limits.take(failure(handler=handler, reason=reason)) for handler, reason in kinds]
    assert None not in raised


def test_reasons_without_end_share_one_kind() -> None:
    limits = AlertLimits(most_kinds=3)
    raised = [limits.take(failure(reason=f"Error{number}")) for number in range(10)]
    named = [alert.reason for alert in raised if alert is not None]
    assert named == ["Error0", "Error1", "Error2", OTHER]
    (rest,) = limits.rest()
    assert (rest.reason, rest.count) == (OTHER, 6)


def test_kinds_that_have_been_quiet_make_room() -> None:
    limits = AlertLimits(most_kinds=2)
    for number in range(2):
        limits.take(failure(reason=f"Error{number}"))
    later = limits.take(failure(120, reason="Error2"))
    assert later is not None
    assert later.reason == "Error2"


@given(st.lists(st.tuples(st.integers(0, 40), st.sampled_from(["a", "b", "c"])), max_size=60))
def test_every_failure_is_in_exactly_one_alert(steps: list[tuple[int, str]]) -> None:
    limits, now, counted = AlertLimits(most_kinds=2), 0, 0
    for pause_s, reason in steps:
        now += pause_s
        at = NOW + timedelta(seconds=now)
        alerts = [*limits.due(at), limits.take(failure(now, reason=reason))]
        counted += sum(alert.count for alert in alerts if alert is not None)
    assert counted + sum(alert.count for alert in limits.rest()) == len(steps)


def test_the_text_says_who_failed_how_often_and_why() -> None:
    assert failure().text == (
        "team.main: notify failed once with ValueError, lately on order.placed"
    )
