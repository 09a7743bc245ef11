"""However a demonstration ends, nothing that it started stays, and no traceback is shown."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.acceptance.demo_rig import (
    END_S,
    RunningDemo,
    assert_whole,
    demo,
    living_in,
    run_once,
)
from tests.integration.infra.wundr_command import wait_until, wundr

pytestmark = [pytest.mark.kafka, pytest.mark.postgres, pytest.mark.slow]


def assert_ended_quietly(running: RunningDemo) -> None:
    assert running.process.wait(END_S) == 130
    shown = running.terminal.text()
    assert "Traceback" not in shown
    assert "Error" not in shown, shown
    assert living_in(running.folder) == []


def test_after_the_run_the_doctor_finds_nothing_wrong_and_ctrl_c_ends_everything(
    working_folder: Path, source: Path
) -> None:
    with demo(working_folder, source) as running:
        assert_whole(running.summary())
        wait_until(lambda: "until Ctrl-C" in running.terminal.text(), "the state after the run")
        examined = wundr(working_folder, "doctor")
        assert examined.returncode == 0, examined.stdout + examined.stderr
        # As a terminal does: the signal goes to all processes of the foreground.
        os.killpg(running.process.pid, signal.SIGINT)
        assert_ended_quietly(running)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_the_middle_of_a_run_ends_everything(
    working_folder: Path, source: Path, number: signal.Signals
) -> None:
    with demo(working_folder, source) as running:
        running.wait_for_events(30)
        os.killpg(running.process.pid, number)
        assert_ended_quietly(running)
        assert running.process.stdout is not None
        assert running.process.stdout.read() == "", "a run that was ended has no sums"


def test_a_signal_while_the_processes_start_ends_everything(
    working_folder: Path, source: Path
) -> None:
    with demo(working_folder, source) as running:
        wait_until(lambda: "processes" in running.terminal.text(), "the start of the processes")
        os.killpg(running.process.pid, signal.SIGINT)
        assert_ended_quietly(running)


def test_the_run_after_a_killed_one_is_whole_and_leaves_nothing(
    working_folder: Path, source: Path
) -> None:
    with demo(working_folder, source) as running:
        running.wait_for_events(30)
        running.process.kill()
        running.process.wait()
    assert_whole(run_once(working_folder, source))
    assert living_in(working_folder) == []
