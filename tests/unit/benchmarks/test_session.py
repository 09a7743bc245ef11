from __future__ import annotations

from pathlib import Path

from benchmarks.bench import Bench, Stage
from benchmarks.contract import Measurement
from benchmarks.launch import Launcher
from benchmarks.session import Plan, run_bench
from benchmarks.system import AGAIN, OURS, System


class Recorded:
    """A driver that measures nothing and notes who ran."""

    def __init__(self) -> None:
        self.prepared = 0
        self.ran: list[str] = []

    def prepare(self) -> None:
        self.prepared += 1

    def run(self, system: System) -> Measurement:
        self.ran.append(system.name)
        return Measurement(events=10, seconds=1.0, cpu_seconds=1.0, checksum=0, rss_bytes=1)


def _bench(driver: Recorded) -> Bench:
    return Bench(
        name="sample",
        question="How fast?",
        systems=(
            System(name=OURS, module="benchmarks.systems.codec"),
            System(name="raw", module="benchmarks.peers.codec_fastavro"),
        ),
        goals=(),
        driver=lambda _stage: driver,
    )


def _stage() -> Stage:
    return Stage(
        folder=Path("never"),
        bootstrap="",
        launcher=Launcher(peers_python=Path("never")),
        seconds=1.0,
        say=lambda _text: None,
    )


def test_rounds_take_turns_after_one_preparation() -> None:
    driver = Recorded()
    result = run_bench(_bench(driver), _stage(), Plan(rounds=2))
    assert driver.prepared == 1
    assert driver.ran == [OURS, "raw", AGAIN, AGAIN, "raw", OURS]
    assert len(result["ours"]["rounds"]) == 2


def test_one_round_is_run_even_when_the_time_is_up() -> None:
    driver = Recorded()
    run_bench(_bench(driver), _stage(), Plan(rounds=5, budget_s=0.0))
    assert driver.ran == [OURS, "raw", AGAIN]


def test_a_result_says_what_it_ran_on() -> None:
    result = run_bench(_bench(Recorded()), _stage(), Plan(rounds=1))
    assert result["machine"]["cores"] >= 1
    assert result["versions"]["python"]
