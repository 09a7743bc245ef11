from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from benchmarks.bench import Bench, Stage
from benchmarks.documents import BEGIN, DOCUMENTS, END, between_marks, with_table
from benchmarks.goals import Measured, at_least, at_most
from benchmarks.goals_table import markdown
from benchmarks.system import OURS, System
from infra.commands.bench import app


def _driver(_stage: Stage) -> Any:
    raise AssertionError("nothing is run here")


BENCH = Bench(
    name="sample",
    question="How fast?",
    systems=(
        System(name=OURS, module="benchmarks.systems.codec"),
        System(name="raw", module="benchmarks.peers.codec_fastavro"),
    ),
    goals=(
        at_least(1.3, ">= 1.3 x raw", Measured(OURS), Measured("raw")),
        at_most(50.0, "p99 <= 50 ms", Measured(OURS, "p99_ms")),
        at_least(2.0, "a row of today", Measured(OURS)),
    ),
    driver=_driver,
)

RESULT: dict[str, Any] = {
    "bench": "sample",
    "unit": "events/s",
    "ours": {"median": 81_234},
    "peers": {"raw": {"median": 60_000}, "absent": {"missing": "it was not run"}},
    "ratios": {">= 1.3 x raw": 1.354, "p99 <= 50 ms": 61.5, "a row of yesterday": 9.0},
    "ratio_ranges": {">= 1.3 x raw": [1.29, 1.4], "p99 <= 50 ms": [55.0, 70.0]},
    "versions": {"python": "3.11.7"},
    "machine": {"cpu": "A processor", "cores": 2, "system": "Linux 6"},
}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_a_document_shows_what_the_command_prints(document: Path) -> None:
    printed = CliRunner().invoke(app, ["--table"])
    assert printed.exit_code == 0, printed.output
    assert between_marks(document.read_text()) == printed.stdout, (
        "the results have changed: run python -m benchmarks.documents"
    )


def test_a_table_has_the_figures_and_says_what_is_met() -> None:
    lines = markdown([BENCH], {"sample": RESULT}).splitlines()
    assert "| `sample` | events/s | **81,234** | raw 60,000 |" in lines
    assert "| `sample` | ≥ 1.3 x raw | 1.35 | 1.29 to 1.40 | yes |" in lines
    assert "| `sample` | p99 ≤ 50 ms | 61.50 | 55.00 to 70.00 | **no** |" in lines
    assert lines[-1] == "Measured on A processor, 2 cores, Linux 6, Python 3.11.7."


def test_goals_are_those_of_today_and_never_met_without_a_figure() -> None:
    shown = markdown([BENCH], {"sample": RESULT})
    assert "| `sample` | a row of today | not measured |  | no |" in shown
    assert "yesterday" not in shown
    assert " yes |" not in markdown([BENCH], {})


def test_a_table_takes_the_place_of_the_one_before() -> None:
    document = f"before\n{BEGIN}old\n{END}after\n"
    changed = with_table(document, "new\n")
    assert changed == f"before\n{BEGIN}new\n{END}after\n"
    assert between_marks(changed) == "new\n"


def test_a_document_without_marks_is_refused() -> None:
    for text in ("none", BEGIN, f"{BEGIN}{END}{BEGIN}{END}"):
        with pytest.raises(ValueError, match="once each"):
            with_table(text, "new\n")
