from __future__ import annotations

import json
import re
from importlib.util import find_spec

import pytest

from benchmarks.catalogue import NAMES, load
from benchmarks.system import OURS


@pytest.mark.parametrize("name", NAMES)
def test_a_bench_goes_by_the_name_of_its_module(name: str) -> None:
    assert load(name).name == name


@pytest.mark.parametrize("name", NAMES)
def test_every_program_of_a_bench_stands_in_the_tree(name: str) -> None:
    assert [it.module for it in load(name).systems if find_spec(it.module) is None] == []


@pytest.mark.parametrize("name", NAMES)
def test_every_goal_is_about_systems_of_its_bench(name: str) -> None:
    bench = load(name)
    names = {system.name for system in bench.systems}
    asked = {side.system for goal in bench.goals for side in (goal.of, goal.by) if side}
    assert bench.goals
    assert OURS in asked
    assert asked <= names


@pytest.mark.parametrize("name", NAMES)
def test_every_peer_says_how_it_was_set_up(name: str) -> None:
    for system in load(name).systems:
        assert system.settings, system.name
        json.dumps(dict(system.settings))


@pytest.mark.parametrize("name", NAMES)
def test_a_number_in_the_words_of_a_goal_is_the_number_of_the_goal(name: str) -> None:
    for goal in load(name).goals:
        stated = re.match(r"(?:.*)(?:>=|<=) ([\d.]+)", goal.row)
        if stated:
            assert float(stated[1]) == goal.value, goal.row
