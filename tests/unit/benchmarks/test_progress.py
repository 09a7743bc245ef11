"""What lies between two moments, and when a worker is steady."""

from __future__ import annotations

import pytest

from benchmarks.open_loop import NANOSECONDS
from benchmarks.progress import (
    MEBIBYTE,
    Moment,
    between,
    moment,
    most_resident,
    rate_of,
    seconds_of,
)
from benchmarks.systems.scale import is_steady, measurement

TENTH_NS = NANOSECONDS // 10


def moments(handled: list[int], cpu_s: float = 0.1) -> list[Moment]:
    """One moment each tenth of a second."""
    return [
        Moment(number * TENTH_NS, number * cpu_s, count, number * MEBIBYTE)
        for number, count in enumerate(handled)
    ]


def test_a_part_has_its_time_its_rate_and_its_most_memory() -> None:
    part = between(moments([0, 10, 20, 30, 90]), TENTH_NS, 3 * TENTH_NS)
    assert (seconds_of(part), rate_of(part), most_resident(part)) == (0.2, 100.0, 3.0)
    with pytest.raises(ValueError, match="too short"):
        between(part, TENTH_NS, TENTH_NS)


def test_this_process_holds_memory_and_has_used_the_processor() -> None:
    now = moment(7)
    assert now.handled == 7
    assert now.resident_bytes > MEBIBYTE
    assert now.cpu_s > 0


def test_a_worker_that_stood_still_is_not_steady() -> None:
    going = moments(list(range(40)))
    assert is_steady(going)
    assert not is_steady([])
    assert not is_steady(going[:5])
    stood = [*range(20), *([20] * 8), *range(20, 32)]
    assert not is_steady(moments(stood))


def test_the_rates_of_all_workers_are_added_up_and_a_short_time_is_refused() -> None:
    parts = [moments([0, 100, 200]), moments([0, 50, 100], cpu_s=0.05)]
    measured = measurement(parts, wanted_s=0.2)
    assert measured.events / measured.seconds == pytest.approx(1_500)
    assert measured.cpu_seconds == pytest.approx(0.3)
    with pytest.raises(ValueError, match="too short"):
        measurement(parts, wanted_s=5.0)
