"""Chosen events fail while a file says so; without one nothing differs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from examples.analysis.demo.chaos import FOLD, HANDLER, Poison
from examples.analysis.demo.repair import ChaosCounts
from examples.analysis.faults import VARIABLE, Faults, PoisonedEvent
from examples.analysis.plan import PackagePlan
from examples.analysis.read_models import progress
from schemas.catalog import Catalog
from schemas.event import Event, EventFactory
from schemas.events.domain import AnalysisStarted

FACTORY = EventFactory(Catalog.load(), "tests")
ROOT = Path("/library")


def plans(*sizes: int) -> tuple[PackagePlan, ...]:
    return tuple(
        PackagePlan(
            analysis_id=f"a{number}",
            project_id="p",
            package=f"package{number}",
            files=tuple(ROOT / f"package{number}" / f"{file}.py" for file in range(size)),
            size=size,
        )
        for number, size in enumerate(sizes)
    )


def started(analysis: str) -> Event[Any]:
    data = AnalysisStarted(
        analysis_id=analysis, project_id="p", package="x", files=1, root="/library"
    )
    return FACTORY.create(data)


def test_the_largest_packages_are_poisoned_one_file_of_each() -> None:
    poison = Poison.of(plans(1, 9, 3, 2, 4, 5, 6), ROOT)
    assert poison.by_name[FOLD] == [f"a{n}:package{n}/0.py" for n in (1, 6, 5, 4, 2)]
    assert poison.by_name[HANDLER] == ["a1", "a6"]
    assert poison.count == 7


def test_even_a_single_file_is_poisoned() -> None:
    assert Poison.of(plans(1), ROOT).count == 2


def test_an_event_fails_for_those_that_are_named_until_it_is_mended(tmp_path: Path) -> None:
    path = tmp_path / "run" / "faults.json"
    Poison(by_name={"notify": ["a1"]}).spread(path)
    faults = Faults.from_environment({VARIABLE: str(path)})
    faults.strike("notify", started("a2"))
    faults.strike("other", started("a1"))
    with pytest.raises(PoisonedEvent, match=r"notify fails on analysis\.started of a1"):
        faults.strike("notify", started("a1"))
    path.unlink()
    faults.strike("notify", started("a1"))


def test_a_fold_is_itself_where_nothing_is_to_fail_on_it(tmp_path: Path) -> None:
    path = tmp_path / "faults.json"
    Poison(by_name={"analysis-progress": ["a1"]}).spread(path)
    faults = Faults.from_environment({VARIABLE: str(path)})
    assert faults.around("project-totals", progress) is progress
    faulty = faults.around("analysis-progress", progress)
    assert faulty({}, started("a2"))["status"] == "running"
    with pytest.raises(PoisonedEvent):
        faulty({}, started("a1"))


@pytest.mark.parametrize("environment", [{}, {VARIABLE: ""}, {VARIABLE: "/nothing/here"}])
def test_without_a_file_nothing_fails(environment: dict[str, str]) -> None:
    faults = Faults.from_environment(environment)
    faults.strike("notify", started("a1"))
    assert faults.around("analysis-progress", progress) is progress


@pytest.mark.parametrize(
    ("counts", "is_whole"), [((3, 3, 3), True), ((3, 3, 2), False), ((3, 2, 2), False)]
)
def test_chaos_is_over_when_every_poisoned_event_was_parked_and_redriven(
    counts: tuple[int, int, int], is_whole: bool
) -> None:
    poisoned, parked, redriven = counts
    assert ChaosCounts(poisoned=poisoned, parked=parked, redriven=redriven).is_whole == is_whole
