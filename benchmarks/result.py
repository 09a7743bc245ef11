"""The result of a bench: one JSON document. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from benchmarks.bench import Bench
from benchmarks.contract import Measurement
from benchmarks.figures import Figure, noise, rounded
from benchmarks.goals import CPU_RATE, RATE, Figures, all_met
from benchmarks.system import AGAIN, OURS, System

SECONDS: Final = "seconds"
MEMORY: Final = "rss_bytes"
_SHOWN_APART: Final = (CPU_RATE, SECONDS, MEMORY)

Runs = Mapping[str, Sequence[Measurement]]
"""The measurements of each system, round by round."""


def metrics_of(measured: Measurement) -> dict[str, float]:
    """All figures of one run."""
    rates = {}
    if measured.seconds > 0:
        rates[RATE] = measured.events / measured.seconds
    if measured.cpu_seconds > 0:
        rates[CPU_RATE] = measured.events / measured.cpu_seconds
    own = {SECONDS: measured.seconds, MEMORY: float(measured.rss_bytes)}
    return {**rates, **own, **measured.metrics}


def figures_of(runs: Runs) -> Figures:
    """The figures of each system that ran, by metric."""
    figures = {}
    for name, measurements in runs.items():
        rounds = [metrics_of(measured) for measured in measurements]
        if rounds:
            figures[name] = {
                metric: Figure.of([each[metric] for each in rounds])
                for metric in rounds[0]
                if all(metric in each for each in rounds)
            }
    return figures


def document(bench: Bench, runs: Runs, facts: Mapping[str, Any]) -> dict[str, Any]:
    """The result; `facts` (versions, machine) are put in as they are."""
    figures = figures_of(runs)
    ratios = {goal.row: goal.ratio(figures) for goal in bench.goals}
    spreads = {goal.row: goal.spread(figures) for goal in bench.goals}
    first, again = (figures.get(name, {}).get(bench.metric) for name in (OURS, AGAIN))
    band = noise(first.rounds, again.rounds).to_json() if first and again else None
    ours, *peers = bench.systems
    return {
        "bench": bench.name,
        "question": bench.question,
        "unit": bench.unit,
        "ours": _entry(bench, ours, figures),
        "peers": {peer.name: _entry(bench, peer, figures) for peer in peers},
        "ratios": {row: None if ratio is None else rounded(ratio) for row, ratio in ratios.items()},
        "ratio_ranges": {
            row: None if spread is None else [rounded(spread.min), rounded(spread.max)]
            for row, spread in spreads.items()
        },
        "goals": {goal.row: goal.value for goal in bench.goals},
        "bounds": {goal.row: goal.bound.value for goal in bench.goals},
        "met": all_met(bench.goals, figures),
        "noise": band,
        **facts,
    }


def _entry(bench: Bench, system: System, figures: Figures) -> dict[str, Any]:
    measured = figures.get(system.name)
    if measured is None:
        return {"missing": "it was not run", "settings": dict(system.settings)}
    apart = {name: measured[name].to_json() for name in _SHOWN_APART if name in measured}
    others = {
        name: figure.to_json()
        for name, figure in measured.items()
        if name not in (*_SHOWN_APART, bench.metric)
    }
    entry = {**measured[bench.metric].to_json(), **apart, "settings": dict(system.settings)}
    return entry | ({"metrics": others} if others else {})
