"""What the benches have shown, as Markdown: figures of all systems, then the goals. Pure.

A goal that no result speaks of is shown as not measured, never as met.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from benchmarks.bench import Bench
from benchmarks.goals import Goal
from benchmarks.screen import number, systems

Results = Mapping[str, Mapping[str, Any]]
"""The result of each bench that has one, by its name."""

NOT_MEASURED = "not measured"


def markdown(benches: Iterable[Bench], results: Results) -> str:
    """Both tables, and on what was measured; ends with a line break."""
    known = list(benches)
    measured = [results[bench.name] for bench in known if bench.name in results]
    parts = [
        *(["\n".join(_figures(measured))] if measured else []),
        "\n".join(_goals(known, results)),
        *_machines(measured),
    ]
    return "\n\n".join(parts) + "\n"


def _figures(measured: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    yield "| bench | unit | Wundr Events | others |"
    yield "|---|---|---:|---|"
    for result in measured:
        (_, ours), *others = systems(result)
        peers = ", ".join(
            f"{_cell(name)} {number(entry['median'])}"
            for name, entry in others
            if "missing" not in entry
        )
        yield f"| `{result['bench']}` | {_cell(result['unit'])} | {_median(ours)} | {peers} |"


def _median(entry: Mapping[str, Any]) -> str:
    return NOT_MEASURED if "missing" in entry else f"**{number(entry['median'])}**"


def _goals(benches: Iterable[Bench], results: Results) -> Iterator[str]:
    yield "| bench | goal | measured | single rounds | met |"
    yield "|---|---|---:|---:|---|"
    for bench in benches:
        result = results.get(bench.name)
        for goal in bench.goals:
            cells = (NOT_MEASURED, "", "no") if result is None else _measured(goal, result)
            yield f"| `{bench.name}` | {_cell(goal.row)} | {' | '.join(cells)} |"


def _measured(goal: Goal, result: Mapping[str, Any]) -> tuple[str, str, str]:
    ratio = result["ratios"].get(goal.row)
    if ratio is None:
        return NOT_MEASURED, "", "no"
    bounds = result["ratio_ranges"].get(goal.row)
    spread = f"{figure(bounds[0])} to {figure(bounds[1])}" if bounds else ""
    return figure(ratio), spread, "yes" if goal.is_met(ratio) else "**no**"


def figure(value: float) -> str:
    """Two decimals, or none where they would say nothing."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}"


def _machines(measured: Iterable[Mapping[str, Any]]) -> list[str]:
    texts = {
        f"{it['machine']['cpu']}, {it['machine']['cores']} cores, {it['machine']['system']}, "
        f"Python {it['versions']['python']}"
        for it in measured
    }
    return [f"Measured on {text}." for text in sorted(texts)]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<=", "≤").replace(">=", "≥")
