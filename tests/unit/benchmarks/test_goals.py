from __future__ import annotations

import pytest

from benchmarks.figures import Figure
from benchmarks.goals import RATE, Figures, Measured, all_met, at_least, at_most

FIGURES: Figures = {
    "wundr": {RATE: Figure.of([120.0, 140.0, 130.0]), "p99_ms": Figure.of([40.0, 60.0, 50.0])},
    "raw": {RATE: Figure.of([100.0, 100.0, 100.0])},
}
FASTER = at_least(1.3, "faster", Measured("wundr"), Measured("raw"))


def test_a_ratio_divides_the_medians() -> None:
    assert FASTER.ratio(FIGURES) == pytest.approx(1.3)


def test_the_range_of_a_ratio_is_that_within_single_rounds() -> None:
    spread = FASTER.spread(FIGURES)
    assert spread is not None
    assert (spread.min, spread.max) == pytest.approx((1.2, 1.4))


def test_a_goal_without_a_second_figure_takes_the_first_as_it_is() -> None:
    goal = at_most(50.0, "p99", Measured("wundr", "p99_ms"))
    assert goal.ratio(FIGURES) == 50.0
    assert goal.is_met(50.0)
    assert not goal.is_met(50.1)


def test_a_goal_is_met_on_its_own_side_and_on_the_bound_itself() -> None:
    assert FASTER.is_met(1.3)
    assert not FASTER.is_met(1.29)


@pytest.mark.parametrize("absent", [Measured("other"), Measured("raw", "p99_ms")])
def test_what_was_not_measured_has_no_ratio_and_is_not_met(absent: Measured) -> None:
    goal = at_least(0.0, "anything", Measured("wundr"), absent)
    assert goal.ratio(FIGURES) is None
    assert goal.spread(FIGURES) is None
    assert not goal.is_met(None)


def test_all_is_met_only_when_each_row_is() -> None:
    unmet = at_least(1.31, "faster still", Measured("wundr"), Measured("raw"))
    assert all_met([FASTER], FIGURES)
    assert not all_met([FASTER, unmet], FIGURES)
