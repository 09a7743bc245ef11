"""Dead letters are wrong until somebody decides; retries only when nobody works on them."""

from __future__ import annotations

import pytest

from infra.checks.failures import OVERDUE_MS, failure_findings, unread_findings
from infra.finding import Finding
from infra.times import lasting
from streams.failures import FailedEvent
from streams.records import Origin

NOW_MS = 10_000_000


def failed(app: str, age_ms: int, *, is_parked: bool, due_at_ms: int | None = None) -> FailedEvent:
    return FailedEvent(
        app=app,
        is_parked=is_parked,
        group=f"{app}.main",
        handler="take",
        tries=3,
        reason="ValueError",
        error="ValueError: no",
        at_ms=NOW_MS - age_ms,
        origin=Origin("events.domain.low", 0, 1),
        event_id="e",
        event_type="analysis.started",
        due_at_ms=due_at_ms,
    )


def by_check(*given: FailedEvent) -> dict[str, list[Finding]]:
    found: dict[str, list[Finding]] = {}
    for finding in failure_findings(given, NOW_MS):
        found.setdefault(finding.check, []).append(finding)
    return found


def test_dead_letters_are_counted_by_app_with_the_oldest_named() -> None:
    letters = [failed("team", 5_000, is_parked=True), failed("team", 600_000, is_parked=True)]
    finding, other = by_check(*letters, failed("other", 1, is_parked=True))["dead letters"][::-1]
    assert finding.message.startswith("2 of team, the oldest 10 min old: analysis.started")
    assert "ValueError: no" in finding.message
    assert finding.remedy == "wundr dlq list team; then redrive or drop them"
    assert other.message.startswith("1 of other")


def test_without_failures_nothing_is_wrong() -> None:
    assert [it.remedy for found in by_check().values() for it in found] == [None, None]


@pytest.mark.parametrize(
    ("due_for_ms", "is_wrong"), [(-OVERDUE_MS, False), (1_000, False), (OVERDUE_MS + 1, True)]
)
def test_a_retry_is_wrong_only_when_it_was_due_long_ago(due_for_ms: int, *, is_wrong: bool) -> None:
    waiting = failed("team", 10 * OVERDUE_MS, is_parked=False, due_at_ms=NOW_MS - due_for_ms)
    (finding,) = by_check(waiting)["retries"]
    assert (finding.remedy is not None) is is_wrong


def test_what_stands_behind_others_is_told_apart_and_is_never_overdue() -> None:
    waiting = failed("team", 0, is_parked=False, due_at_ms=NOW_MS)
    (finding,) = by_check(waiting, failed("team", 10 * OVERDUE_MS, is_parked=False))["retries"]
    assert finding.message == "1 of team wait for another try, 1 behind others"
    assert finding.remedy is None


def test_a_topic_that_is_too_long_is_named() -> None:
    (finding,) = unread_findings({"dlq.team": 900_000})
    assert "900,000" in finding.message
    assert finding.remedy == "wundr dlq list"


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (-5, "0 s"),
        (119_999, "119 s"),
        (120_000, "2 min"),
        (7_200_000, "2 h"),
        (200_000_000, "2 days"),
    ],
)
def test_a_time_that_lasted_is_said_in_one_unit(milliseconds: int, text: str) -> None:
    assert lasting(milliseconds) == text
