from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks.contract import RunConfig
from benchmarks.errors import SystemFailed
from benchmarks.launch import Launcher, environment
from benchmarks.peer_environment import installers
from benchmarks.system import Environment, System

LAUNCHER = Launcher(peers_python=Path("/peers/bin/python"))


def test_each_program_runs_with_the_packages_of_its_environment() -> None:
    ours = System(name="a", module="m.ours", environment=Environment.PROJECT)
    peer = System(name="b", module="m.peer")
    config = RunConfig(folder="/run")
    assert LAUNCHER.command(ours, config)[:3] == [sys.executable, "-m", "m.ours"]
    assert LAUNCHER.command(peer, config)[:3] == ["/peers/bin/python", "-m", "m.peer"]


def test_no_setting_of_an_installation_reaches_a_program() -> None:
    given = {"PATH": "/bin", "WUNDR_KAFKA_BOOTSTRAP": "elsewhere:9092", "WUNDR_STATE_DIR": "x"}
    assert environment(given) == {"PATH": "/bin"}
    assert environment({"WUNDR_PURE": "1"}) == {"WUNDR_PURE": "1"}


def test_a_program_that_fails_is_an_error_with_the_end_of_its_log(tmp_path: Path) -> None:
    # This module takes no JSON object: it says so on stderr and ends with another code than 0.
    system = System(name="broken", module="json.tool", environment=Environment.PROJECT)
    with pytest.raises(SystemFailed, match="broken was not measured: it ended with") as caught:
        LAUNCHER.run(system, RunConfig(folder=str(tmp_path)))
    assert caught.value.log.read_text().strip()[-20:] in caught.value.message


def test_a_program_that_prints_no_measurement_is_an_error(tmp_path: Path) -> None:
    system = System(name="mute", module="this", environment=Environment.PROJECT)
    with pytest.raises(SystemFailed, match="printed no measurement"):
        LAUNCHER.run(system, RunConfig(folder=str(tmp_path)))


def test_a_program_that_does_not_end_is_ended(tmp_path: Path) -> None:
    system = System(
        name="endless", module="benchmarks.systems.codec", environment=Environment.PROJECT
    )
    samples = tmp_path / "samples.json"
    samples.write_text(json.dumps({"framed": [], "number_fields": {}}))
    config = RunConfig(folder=str(tmp_path), seconds=1_000.0, options={"samples": str(samples)})
    with pytest.raises(SystemFailed, match="no end after 1 s"):
        LAUNCHER.run(system, config, longest_s=1.0)


def test_peers_are_installed_by_hash_only(tmp_path: Path) -> None:
    ways = list(installers(Path(sys.executable), tmp_path))
    assert ways
    for steps in ways:
        assert "--require-hashes" in steps[-1]
