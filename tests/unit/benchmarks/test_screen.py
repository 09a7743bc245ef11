from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest

from benchmarks.plot import svg
from benchmarks.screen import figure_cells, goal_cells, show


def _entry(median: float) -> dict[str, Any]:
    return {
        "median": median,
        "min": median * 0.9,
        "max": median * 1.1,
        "rounds": [median],
        "rss_bytes": {"median": 64 * 1024**2},
        "events_per_cpu_s": {"median": 2 * median},
    }


RESULT: dict[str, Any] = {
    "bench": "sample",
    "question": "Is a < b & fast?",
    "unit": "events/s",
    "ours": _entry(120_000),
    "peers": {"raw & plain": _entry(90_000), "absent": {"missing": "it was not run"}},
    "ratios": {"above raw": 1.33, "above the absent one": None},
    "goals": {"above raw": 1.3, "above the absent one": 1.0},
    "bounds": {"above raw": "at_least", "above the absent one": "at_least"},
    "noise": {"band": 0.04, "ratios": [1.04]},
}


def test_a_table_shows_systems_goals_and_noise(capsys: pytest.CaptureFixture[str]) -> None:
    show(RESULT)
    shown = capsys.readouterr().out
    for text in ("120,000", "240,000", "64 MiB", "raw & plain", "it was not run", "1.33", "4.0%"):
        assert text in shown


def test_what_was_not_run_has_no_numbers() -> None:
    assert figure_cells({"missing": "it was not run"}) == ["it was not run", "", "", "", ""]


@pytest.mark.parametrize(
    ("ratio", "bound", "verdict"),
    [(1.3, "at_least", "yes"), (1.2, "at_least", "no"), (1.2, "at_most", "yes")],
)
def test_a_goal_says_whether_it_is_met(ratio: float, bound: str, verdict: str) -> None:
    assert goal_cells(ratio, 1.3, bound)[1] == verdict


def test_a_goal_that_was_not_measured_is_not_met() -> None:
    assert goal_cells(None, 1.3, "at_most") == ["not measured", "no"]


def test_a_picture_has_a_bar_for_each_system_that_ran_as_long_as_it_is_fast() -> None:
    drawn = ElementTree.fromstring(svg(RESULT))
    space = "{http://www.w3.org/2000/svg}"
    _, ours, peer = drawn.findall(f"{space}rect")
    assert float(ours.get("width", 0)) / float(peer.get("width", 0)) == pytest.approx(4 / 3, 0.01)
    texts = [text.text for text in drawn.findall(f"{space}text")]
    assert "raw & plain" in texts
    assert "absent" not in texts
