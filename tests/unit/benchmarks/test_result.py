from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from benchmarks.bench import Bench, Stage
from benchmarks.contract import Measurement
from benchmarks.errors import UnknownSystem
from benchmarks.goals import CPU_RATE, Measured, at_least
from benchmarks.result import document, figures_of
from benchmarks.session import lineup
from benchmarks.system import AGAIN, OURS, System


def _driver(_stage: Stage) -> Any:
    raise AssertionError("nothing is run here")


BENCH = Bench(
    name="sample",
    question="How fast?",
    systems=(
        System(name=OURS, module="benchmarks.systems.codec", settings={"linger_ms": 5}),
        System(name="raw", module="benchmarks.peers.codec_fastavro"),
        System(name="absent", module="benchmarks.peers.absent.program"),
    ),
    goals=(
        at_least(1.5, ">= 1.5 x raw", Measured(OURS), Measured("raw")),
        at_least(1.0, "above the absent one", Measured(OURS), Measured("absent")),
    ),
    driver=_driver,
)


def _ran(seconds: float, *, metrics: dict[str, float] | None = None) -> Measurement:
    return Measurement(
        events=1_000,
        seconds=seconds,
        cpu_seconds=seconds / 2,
        checksum=1,
        rss_bytes=4096,
        metrics=metrics or {},
    )


RUNS = {
    OURS: [_ran(1.0), _ran(2.0), _ran(1.0)],
    "raw": [_ran(2.0, metrics={"p99_ms": 3.0}), _ran(4.0, metrics={"p99_ms": 5.0}), _ran(2.0)],
    AGAIN: [_ran(1.0), _ran(2.5), _ran(1.0)],
}


def test_a_result_has_the_keys_that_readers_rely_on() -> None:
    result = document(BENCH, RUNS, {"versions": {"python": "3"}, "machine": {"cores": 2}})
    assert set(result) >= {
        "bench",
        "unit",
        "ours",
        "peers",
        "ratios",
        "goals",
        "met",
        "noise",
        "versions",
        "machine",
    }
    assert result["ours"]["median"] == 1_000
    assert result["ours"]["rounds"] == [1_000, 500, 1_000]
    assert result["ours"]["settings"] == {"linger_ms": 5}
    assert json.loads(json.dumps(result)) == result


def test_ratios_goals_and_bounds_have_the_same_rows() -> None:
    result = document(BENCH, RUNS, {})
    rows = [">= 1.5 x raw", "above the absent one"]
    assert [list(result[key]) for key in ("ratios", "goals", "bounds")] == [rows] * 3
    assert result["ratios"] == {rows[0]: 2.0, rows[1]: None}


def test_a_row_that_was_not_measured_leaves_the_bench_unmet() -> None:
    assert document(BENCH, RUNS, {})["met"] is False
    measured = dataclasses.replace(BENCH, goals=BENCH.goals[:1])
    assert document(measured, RUNS, {})["met"] is True


def test_a_system_that_was_not_run_says_so_instead_of_a_figure() -> None:
    assert document(BENCH, RUNS, {})["peers"]["absent"]["missing"]


def test_the_rate_per_cpu_second_stands_beside_the_rate() -> None:
    result = document(BENCH, RUNS, {})
    assert result["ours"][CPU_RATE]["median"] == 2_000
    assert result["peers"]["raw"][CPU_RATE]["median"] == 1_000


def test_the_noise_comes_from_our_two_runs_of_each_round() -> None:
    assert document(BENCH, RUNS, {})["noise"] == {"band": 0.2, "ratios": [1.0, 0.8, 1.0]}


def test_without_a_second_run_of_ours_nothing_is_said_of_noise() -> None:
    assert document(BENCH, {"raw": RUNS["raw"]}, {})["noise"] is None


def test_a_metric_counts_only_when_each_round_has_it() -> None:
    figures = figures_of(RUNS)
    assert "p99_ms" not in figures["raw"]
    assert figures_of({"raw": RUNS["raw"][:2]})["raw"]["p99_ms"].rounds == (3.0, 5.0)


def test_ours_runs_at_both_ends_of_a_round_and_absent_programs_are_left_out() -> None:
    assert [system.name for system in lineup(BENCH, ())] == [OURS, "raw", AGAIN]


def test_a_part_of_the_systems_can_be_asked_for() -> None:
    assert [system.name for system in lineup(BENCH, ("raw",))] == ["raw"]
    assert [system.name for system in lineup(BENCH, (OURS,))] == [OURS, AGAIN]


def test_a_system_that_the_bench_does_not_have_is_refused_with_those_that_it_has() -> None:
    with pytest.raises(UnknownSystem, match=r"no system raww\. It has: wundr, raw, absent\."):
        lineup(BENCH, ("raww",))


def test_a_bench_that_does_not_begin_with_ours_is_refused() -> None:
    with pytest.raises(ValueError, match="the first"):
        dataclasses.replace(BENCH, systems=BENCH.systems[::-1])
