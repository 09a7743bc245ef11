"""Events are due at set times, and count from then."""

from __future__ import annotations

import pytest

from benchmarks.contract import event_sum
from benchmarks.open_loop import NANOSECONDS, NOT_DUE, Arrivals, Latencies, Schedule, offer

START_NS = 5 * NANOSECONDS


def test_events_are_due_at_the_rate_from_the_start_on() -> None:
    schedule = Schedule(rate=100, count=3, start_ns=START_NS)
    assert [schedule.due_ns(number) - START_NS for number in range(3)] == [0, 10**7, 2 * 10**7]
    assert schedule.due_by(START_NS - 1) == 0
    assert schedule.due_by(START_NS) == 1
    assert schedule.due_by(START_NS + 10**7) == 2
    assert schedule.due_by(START_NS + NANOSECONDS) == 3
    assert schedule.wait_s(1, START_NS) == 0.01
    assert schedule.wait_s(1, START_NS + NANOSECONDS) == 0


async def test_a_sender_that_is_late_sends_everything_with_the_time_at_which_it_was_due() -> None:
    sent: list[tuple[int, int]] = []

    async def send(number: int, due_ns: int) -> None:
        sent.append((number, due_ns))

    schedule = Schedule(rate=1_000, count=5, start_ns=START_NS)
    late_s = await offer(schedule, send)
    assert sent == [(number, START_NS + number * 10**6) for number in range(5)]
    assert late_s > 0


def test_quantiles_are_values_that_were_measured() -> None:
    latencies = Latencies.of([float(value) for value in range(1_000, 0, -1)])
    assert (latencies.p50, latencies.p99, latencies.p999, latencies.max) == (500, 990, 999, 1_000)
    assert latencies.metrics("_at_1")["p99_ms_at_1"] == 990
    assert Latencies.of([7.0]).p50 == 7.0
    with pytest.raises(ValueError, match="no event"):
        Latencies.of([])


def test_an_arrival_counts_from_when_it_was_due_and_one_sent_beforehand_does_not_count() -> None:
    now_ns = START_NS
    arrivals = Arrivals(clock_ns=lambda: now_ns)
    arrivals.take("a", "x", 1, NOT_DUE)
    now_ns += 3 * 10**6
    arrivals.take("a", "y", 2, START_NS)
    arrivals.take("a", "y", 3, START_NS + 10**6)
    assert (arrivals.early, arrivals.measured, arrivals.count) == (1, 2, 3)
    assert arrivals.latencies(0, START_NS + 1).max == 3.0
    assert arrivals.latencies(START_NS + 1, now_ns).max == 2.0
    assert arrivals.first_due_ns(after=1) == START_NS + 10**6
    expected = [event_sum("a", "x", 1), event_sum("a", "y", 2), event_sum("a", "y", 3)]
    assert arrivals.checksum == sum(expected)


def test_who_waits_for_arrivals_is_told_once_and_at_once_when_they_are_there() -> None:
    arrivals, told = Arrivals(), []
    arrivals.when(2, lambda: told.append("two"))
    for _ in range(3):
        arrivals.take("a", "x", 1, START_NS)
    assert told == ["two"]
    arrivals.when(3, lambda: told.append("three"))
    assert told == ["two", "three"]
