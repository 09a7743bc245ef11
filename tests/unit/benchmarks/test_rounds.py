from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.rounds import Size, Supply, fits_another_round, is_long_enough, order, size_for

TOPIC = Supply(events=1_300_000, step=10_000)


def test_every_second_round_runs_backwards() -> None:
    assert [order("abc", number) for number in range(3)] == [
        ["a", "b", "c"],
        ["c", "b", "a"],
        ["a", "b", "c"],
    ]


def test_a_run_has_a_second_of_warm_up_and_somewhat_more_than_its_time() -> None:
    assert size_for(100_000, 5.0, 0, TOPIC) == Size(events=680_000, warm_up=100_000)


def test_a_slow_system_reads_little() -> None:
    assert size_for(3_000, 5.0, 0, TOPIC) == Size(events=30_000, warm_up=10_000)


def test_a_system_that_needs_much_warm_up_gets_it() -> None:
    assert size_for(150_000, 5.0, 400_000, TOPIC) == Size(events=1_270_000, warm_up=400_000)


def test_a_run_takes_no_more_than_the_topic_has() -> None:
    assert size_for(400_000, 5.0, 0, TOPIC) == Size(events=1_300_000, warm_up=400_000)


@given(
    rate=st.floats(min_value=1, max_value=1e7),
    seconds=st.floats(min_value=0.1, max_value=60),
    min_warm_up=st.sampled_from([0, 10_000, 400_000]),
    steps=st.integers(min_value=2, max_value=200),
)
def test_a_run_always_measures_whole_steps_after_its_warm_up(
    rate: float, seconds: float, min_warm_up: int, steps: int
) -> None:
    supply = Supply(events=steps * 10_000, step=10_000)
    size = size_for(rate, seconds, min_warm_up, supply)
    assert 0 < size.warm_up < size.events <= supply.events
    assert size.events % supply.step == 0


def test_a_short_run_counts_only_when_there_was_nothing_more_to_take() -> None:
    part, whole = Size(events=100_000, warm_up=10_000), Size(events=1_300_000, warm_up=10_000)
    assert not is_long_enough(4.9, 5.0, part, TOPIC)
    assert is_long_enough(5.0, 5.0, part, TOPIC)
    assert is_long_enough(4.9, 5.0, whole, TOPIC)


def test_no_round_begins_that_would_end_after_the_budget() -> None:
    assert fits_another_round(elapsed=200.0, last_round=100.0, budget=300.0)
    assert not fits_another_round(elapsed=200.0, last_round=100.1, budget=300.0)
