"""The root command: usage, unknown words, errors as one sentence with the next command."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from infra.cli import COMMANDS, run
from infra.commands import test as test_command
from infra.commands.test import FAST_TESTS, Check, Scope, pytest_runs, static_checks


def test_without_a_word_every_command_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 0
    listed = capsys.readouterr().out
    assert all(f"  {command.name} " in listed for command in COMMANDS)


def test_an_unknown_command_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["sing"]) == 2
    streams = capsys.readouterr()
    assert "there is no command 'sing'" in streams.err
    assert streams.out == ""


def test_an_unknown_option_is_wrong_usage() -> None:
    assert run(["down", "--loudly"]) == 2


def test_faulty_settings_end_with_the_faults_and_what_to_do(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WUNDR_PARTITIONS", "none")
    assert run(["status"]) == 1
    streams = capsys.readouterr()
    assert "WUNDR_PARTITIONS" in streams.err
    assert "next:" in streams.err
    assert streams.out == ""


def test_the_fast_tests_need_no_broker() -> None:
    (run,) = pytest_runs(Scope.FAST)
    assert run.command[-2:] == FAST_TESTS


def test_all_folders_of_tests_are_run_once() -> None:
    selected = [word for run in pytest_runs(Scope.ALL) for word in run.command[4:]]
    folders = {path.parent for path in Path("tests").rglob("test_*.py")}
    assert len(selected) == len(set(selected))
    assert all(any(folder.is_relative_to(it) for it in selected) for folder in folders)


def test_what_is_passed_on_is_one_run() -> None:
    (run,) = pytest_runs(Scope.ALL, ["tests/unit", "-q"])
    assert run.command[-2:] == ("tests/unit", "-q")


def test_static_checks_read_the_sources_only() -> None:
    names = [check.name for check in static_checks()]
    assert names == ["ruff check", "ruff format", "import contracts", "mypy strict"]


def test_a_check_without_an_end_is_stopped_and_says_where_it_stands(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(test_command, "LIMIT_S", 0)
    endless = Check(name="endless", command=(sys.executable, "-c", "while True: pass"))
    assert test_command.failing([endless]) == ["endless"]
    said = capfd.readouterr().err
    assert "no end within 0 s, stopped" in said
    assert "FAILED" in said
