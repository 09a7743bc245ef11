"""`wundr bench` as a user runs it, with runs too short to mean anything."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from benchmarks.bench import Stage
from benchmarks.broker import Broker
from benchmarks.contract import Measurement, RunConfig
from benchmarks.drain import Drain
from benchmarks.errors import ChecksumMismatch
from benchmarks.launch import LONGEST_RUN_S, Launcher
from benchmarks.system import Stream, System
from benchmarks.workload import PARTITIONS, fill
from infra.settings import load_settings
from infra.stack.local import running_stack
from tests.integration.infra.wundr_command import environment, run_within, servers, wundr

DEADLINE_S = 240.0
"""A bench starts servers, then one program after the other, some again as they were too short."""

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(DEADLINE_S + 60)]


def _only(*names: str) -> list[str]:
    return [word for name in names for word in ("--only", name)]


def _bench(folder: Path, *words: str) -> dict[str, Any]:
    bench = ("bench", *words, "--rounds", "1", "--json")
    done = run_within(DEADLINE_S, folder, bench, environment())
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    result: dict[str, Any] = json.loads(line)
    return result


def test_a_bench_prints_writes_and_draws_one_result(session_folder: Path) -> None:
    kept, drawn = session_folder / "results", session_folder / "plots"
    places = ("--results", str(kept), "--plot", str(drawn))
    result = _bench(session_folder, "codec", "--seconds", "0.1", *places)
    assert json.loads((kept / "codec.json").read_text()) == result
    assert "fastavro" in (drawn / "codec.svg").read_text()
    assert None not in result["ratios"].values()
    assert result["versions"]["peers"]["fastavro"] == result["versions"]["fastavro"]


def test_systems_that_read_kafka_are_given_the_same_events(session_folder: Path) -> None:
    systems = _only("wundr", "raw aiokafka + fastavro", "Faust")
    running = servers(session_folder)
    result = _bench(session_folder, "consume", "--seconds", "0.2", *systems)
    assert result["ours"]["median"] > 0
    assert result["peers"]["raw aiokafka + fastavro"]["median"] > 0
    assert result["peers"]["Faust"]["median"] > 0
    assert result["peers"]["Quix Streams"]["missing"]
    assert result["met"] is False, "what was not run cannot be met"
    assert servers(session_folder) == running, "it has ended its own"


def test_a_short_look_is_not_kept_among_the_results(session_folder: Path) -> None:
    committed = Path(__file__).parents[3] / "benchmarks" / "results" / "codec.json"
    before = committed.read_bytes() if committed.exists() else None
    _bench(session_folder, "codec", "--seconds", "0.1", *_only("wundr"))
    assert (committed.read_bytes() if committed.exists() else None) == before


def test_a_bench_that_there_is_not_is_a_wrong_usage(session_folder: Path) -> None:
    done = wundr(session_folder, "bench", "speed")
    assert done.returncode == 2
    assert "codec" in done.stderr


def test_a_filled_topic_is_found_after_a_restart_and_refilled_when_it_would_be_another(
    session_folder: Path,
) -> None:
    folder = session_folder / ".wundr" / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    settings = load_settings({}, provider="embedded", state_dir=folder / "stack")
    said: list[str] = []
    with running_stack(settings) as endpoints:
        filled = fill(Broker(endpoints.kafka_bootstrap), folder, Stream.AVRO, said.append, 0.1)
    said.clear()
    with running_stack(settings) as endpoints:
        broker = Broker(endpoints.kafka_bootstrap)
        ends = [last for _, last in broker.bounds(filled.topic, PARTITIONS)]
        assert tuple(ends) == filled.index.ends
        again = fill(broker, folder, Stream.AVRO, said.append, 0.1)
        assert (said, again.index.ends) == ([], filled.index.ends)
        file = folder / f"{filled.topic}.index.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | {"identity": "of other samples"}))
        refilled = fill(broker, folder, Stream.AVRO, said.append, 0.1)
    assert [text.partition(" ")[0] for text in said] == ["writing"]
    marks = refilled.index.marks
    assert marks == filled.index.marks[: len(marks)], "the same events again, perhaps fewer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dishonest(Launcher):
    """Says of every program that it handled all events, but of another checksum."""

    def run(
        self, _system: System, config: RunConfig, _longest_s: float = LONGEST_RUN_S
    ) -> Measurement:
        """See Launcher."""
        measured = config.events - config.warm_up
        return Measurement(events=measured, seconds=1.0, cpu_seconds=1.0, checksum=1, rss_bytes=1)


def test_a_system_that_handled_other_events_gets_no_figure(session_folder: Path) -> None:
    folder = session_folder / ".wundr" / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    settings = load_settings({}, provider="embedded", state_dir=folder / "stack")
    with running_stack(settings) as endpoints:
        drain = Drain(
            Stage(
                folder=folder,
                bootstrap=endpoints.kafka_bootstrap,
                launcher=Dishonest(peers_python=Path("never")),
                seconds=0.2,
                say=lambda _text: None,
            )
        )
        drain.prepare()
        with pytest.raises(ChecksumMismatch, match="liar handled"):
            drain.run(System(name="liar", module="never"))
