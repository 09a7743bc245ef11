"""Carries out a bench: rounds of all systems in turn, within a bounded time."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any, Final

from benchmarks.bench import Bench, Stage
from benchmarks.contract import Measurement
from benchmarks.errors import UnknownSystem
from benchmarks.machine import joined_versions, machine, versions
from benchmarks.result import document
from benchmarks.rounds import fits_another_round, order
from benchmarks.system import AGAIN, OURS, Environment, System

BUDGET_S: Final = 450.0
"""No further round begins that would end later: a bench is over within eight minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How often each system runs, and which: all when `only` is empty."""

    rounds: int = 3
    only: Collection[str] = ()
    budget_s: float = BUDGET_S


def lineup(bench: Bench, only: Collection[str]) -> list[System]:
    """The systems of a round, ours at both ends; what does not stand in this tree is left out.

    Raises UnknownSystem for a name in `only` that the bench does not have.
    """
    names = [system.name for system in bench.systems]
    unknown = [name for name in only if name not in names]
    if unknown:
        raise UnknownSystem(bench.name, unknown, names)
    wanted = [it for it in bench.systems if (not only or it.name in only) and it.is_there]
    if any(system.name == OURS for system in wanted):
        wanted.append(replace(wanted[0], name=AGAIN))
    return wanted


def run_bench(bench: Bench, stage: Stage, plan: Plan) -> dict[str, Any]:
    """Run it and return its result. Raises BenchError."""
    began = time.monotonic()
    facts = machine()
    systems = lineup(bench, plan.only)
    driver = bench.driver(stage)
    stage.say("preparing")
    driver.prepare()
    runs: dict[str, list[Measurement]] = {system.name: [] for system in systems}
    round_began = time.monotonic()
    for number in range(plan.rounds):
        last_round = time.monotonic() - round_began
        round_began = time.monotonic()
        if number and not fits_another_round(round_began - began, last_round, plan.budget_s):
            stage.say(f"{number} rounds: another one would take too long")
            break
        for system in order(systems, number):
            stage.say(f"round {number + 1} of {plan.rounds}: {system.name}")
            runs[system.name].append(driver.run(system))
    return document(
        bench,
        runs,
        {
            "versions": joined_versions(versions(), _peer_versions(systems, runs)),
            "machine": facts,
            "duration_s": round(time.monotonic() - began, 1),
        },
    )


def _peer_versions(systems: list[System], runs: dict[str, list[Measurement]]) -> dict[str, str]:
    return {
        package: version
        for system in systems
        if system.environment is Environment.PEERS or system.name not in (OURS, AGAIN)
        for measured in runs[system.name][-1:]
        for package, version in measured.versions.items()
    }
