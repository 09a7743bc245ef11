from __future__ import annotations

import pytest

from benchmarks.figures import Figure, noise, paired, rounded


def test_a_figure_is_the_median_of_its_rounds_with_their_spread() -> None:
    figure = Figure.of([30.0, 10.0, 20.0])
    assert figure == Figure(median=20.0, min=10.0, max=30.0, rounds=(30.0, 10.0, 20.0))


def test_a_figure_without_a_round_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a round"):
        Figure.of([])


def test_a_figure_is_written_with_the_digits_that_were_measured() -> None:
    assert Figure.of([1.23456, 123456.7]).to_json() == {
        "median": 61729,
        "min": 1.235,
        "max": 123457,
        "rounds": [1.235, 123457],
    }


def test_a_small_figure_keeps_four_digits() -> None:
    assert rounded(0.00012345678) == 0.0001235


def test_ratios_are_taken_within_each_round() -> None:
    # Both were slow in the second round: that is the machine, not a difference.
    assert paired([100.0, 50.0], [50.0, 25.0]) == Figure.of([2.0, 2.0])


def test_rounds_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        paired([1.0, 2.0], [1.0])


def test_the_noise_is_how_far_the_same_thing_lies_from_itself() -> None:
    measured = noise(first=[100.0, 100.0, 100.0], again=[103.0, 92.0, 100.0])
    assert measured.ratios == (1.03, 0.92, 1.0)
    assert measured.band == pytest.approx(0.08)
