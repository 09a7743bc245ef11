"""A histogram loses no value and no second."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streams.histogram import INFINITE, Histogram

VALUES = st.lists(st.integers(min_value=0, max_value=100), max_size=50)


@given(VALUES, st.lists(st.integers(0, 90), min_size=1, max_size=6, unique=True))
def test_each_bound_has_the_values_up_to_it(values: list[int], bounds: list[int]) -> None:
    spread = Histogram(sorted(bounds))
    for value in values:
        spread.observe(value)
    assert list(spread.cumulative()) == [
        (bound, sum(value <= bound for value in values)) for bound in (*sorted(bounds), INFINITE)
    ]
    assert (spread.count, spread.sum) == (len(values), sum(values))


def test_one_value_may_stand_for_many() -> None:
    spread = Histogram((1, 2))
    spread.observe(2, times=30)
    assert list(spread.cumulative()) == [(1, 0), (2, 30), (INFINITE, 30)]
    assert spread.sum == 60
