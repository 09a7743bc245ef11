"""The states of a breaker: what opens it, what closes it, and that one try looks at a time."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from streams.breaker import BreakerState, CircuitBreaker, Permit
from streams.policies import Breaker

OPEN, CLOSED, HALF_OPEN = BreakerState.OPEN, BreakerState.CLOSED, BreakerState.HALF_OPEN


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Changes(list[tuple[str, BreakerState, str]]):
    """A listener that notes what it was told."""

    def changed(self, name: str, state: BreakerState, reason: str) -> None:
        self.append((name, state, reason))


class Rig:
    """A breaker that opens after three outages, for ten seconds."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.changes = Changes()
        policy = Breaker("mailer", threshold=3, timeout_s=10, open_after_s=5)
        self.breaker = CircuitBreaker("mailer", policy, self.clock, [self.changes])

    def permit(self) -> Permit:
        permit = self.breaker.admit()
        assert permit is not None
        return permit

    def fail(self, times: int = 1) -> None:
        for _ in range(times):
            self.breaker.failed(self.permit(), "refused")

    def open(self) -> None:
        self.fail(3)
        assert self.breaker.state is OPEN


def test_outages_in_a_row_open_it_and_their_reason_is_told() -> None:
    rig = Rig()
    rig.fail(2)
    assert rig.breaker.state is CLOSED
    rig.fail()
    assert rig.breaker.admit() is None
    assert rig.changes == [("mailer", OPEN, "refused")]


def test_a_success_between_outages_begins_the_count_anew() -> None:
    rig = Rig()
    rig.fail(2)
    rig.breaker.succeeded(rig.permit())
    rig.fail(2)
    assert rig.breaker.state is CLOSED


def test_two_outages_are_enough_when_nothing_succeeded_for_a_while() -> None:
    rig = Rig()
    rig.fail()
    rig.clock.now += 4.9
    assert rig.breaker.state is CLOSED
    rig.clock.now += 0.1
    rig.fail()
    assert rig.breaker.state is OPEN


def test_after_the_time_one_try_goes_through_and_its_success_closes_it() -> None:
    rig = Rig()
    rig.open()
    assert rig.breaker.probe_in_s == 10
    rig.clock.now += 9.9
    assert rig.breaker.admit() is None
    rig.clock.now += 0.1
    probe = rig.permit()
    assert rig.breaker.state is HALF_OPEN
    assert rig.breaker.admit() is None
    rig.breaker.succeeded(probe)
    assert [state for _, state, _ in rig.changes] == [OPEN, HALF_OPEN, CLOSED]
    assert rig.breaker.admit() is not None


def test_a_try_that_fails_opens_it_for_the_whole_time_again() -> None:
    rig = Rig()
    rig.open()
    rig.clock.now += 10
    rig.breaker.failed(rig.permit(), "still refused")
    assert rig.breaker.state is OPEN
    assert rig.breaker.probe_in_s == 10
    assert rig.breaker.status.reason == "still refused"


def test_a_try_that_says_nothing_of_the_dependency_lets_another_one_look() -> None:
    rig = Rig()
    rig.open()
    rig.clock.now += 10
    rig.breaker.released(rig.permit())
    assert rig.breaker.state is HALF_OPEN
    rig.breaker.succeeded(rig.permit())
    assert rig.breaker.state is CLOSED


def test_tries_from_before_the_outage_neither_close_it_nor_count() -> None:
    rig = Rig()
    early = [rig.permit() for _ in range(5)]
    rig.open()
    rig.breaker.succeeded(early[0])
    assert rig.breaker.state is OPEN
    rig.clock.now += 10
    probe = rig.permit()
    rig.breaker.failed(early[1], "late")
    assert rig.breaker.state is HALF_OPEN
    rig.breaker.succeeded(probe)
    for permit in early[2:]:
        rig.breaker.failed(permit, "late")
    assert rig.breaker.state is CLOSED


def test_held_open_it_lets_nothing_through_until_it_is_released() -> None:
    rig = Rig()
    rig.breaker.force(OPEN, "maintenance")
    rig.clock.now += 1_000
    assert rig.breaker.admit() is None
    assert rig.breaker.probe_in_s is None
    assert rig.breaker.status.forced
    rig.breaker.release()
    rig.breaker.succeeded(rig.permit())
    assert rig.breaker.state is CLOSED
    assert [reason for _, _, reason in rig.changes] == [
        "maintenance",
        "one try looks again after: maintenance",
        "a try has succeeded",
    ]


def test_held_closed_it_lets_all_through_until_it_is_released() -> None:
    rig = Rig()
    rig.open()
    rig.breaker.force(CLOSED, "it is the other one")
    rig.fail(50)
    assert rig.breaker.state is CLOSED
    rig.breaker.release()
    rig.open()


def test_a_try_on_its_way_decides_nothing_once_it_is_held() -> None:
    rig = Rig()
    rig.open()
    rig.clock.now += 10
    probe = rig.permit()
    rig.breaker.force(OPEN, "maintenance")
    rig.breaker.succeeded(probe)
    assert rig.breaker.state is OPEN


class AnyCourse(RuleBasedStateMachine):
    """Whatever comes, only one try at a time is on its way while it is not closed."""

    def __init__(self) -> None:
        super().__init__()
        self.rig = Rig()
        self.running: list[tuple[Permit, bool]] = []
        self.probes: list[Permit] = []

    @rule()
    def admit(self) -> None:
        was_closed = self.rig.breaker.state is CLOSED
        permit = self.rig.breaker.admit()
        if permit is not None:
            self.running.append((permit, not was_closed))
        if not was_closed and permit is not None:
            # What was on its way when an order came decides nothing any more.
            self.probes = [it for it in self.probes if it == permit] + [permit]
        assert permit is not None or not was_closed

    @rule(seconds=st.floats(0, 15))
    def wait(self, seconds: float) -> None:
        self.rig.clock.now += seconds

    @precondition(lambda self: self.running)
    @rule(which=st.integers(0, 9), outcome=st.sampled_from(["succeeded", "failed", "released"]))
    def end(self, which: int, outcome: str) -> None:
        permit, was_probe = self.running.pop(which % len(self.running))
        if was_probe and permit in self.probes:
            self.probes.remove(permit)
        if outcome == "failed":
            self.rig.breaker.failed(permit, "refused")
        else:
            getattr(self.rig.breaker, outcome)(permit)

    @rule(state=st.sampled_from([OPEN, CLOSED]))
    def force(self, state: BreakerState) -> None:
        self.rig.breaker.force(state, "ordered")

    @rule()
    def release(self) -> None:
        self.rig.breaker.release()

    @invariant()
    def one_at_a_time(self) -> None:
        assert len(self.probes) <= 1

    @invariant()
    def each_change_is_one(self) -> None:
        states = [state for _, state, _ in self.rig.changes]
        assert all(before is not after for before, after in pairwise(states))


TestAnyCourse = AnyCourse.TestCase
