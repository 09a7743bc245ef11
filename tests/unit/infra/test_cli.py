"""The root command: usage, unknown words, errors as one sentence with the next command."""

from __future__ import annotations

import pytest

from infra.cli import COMMANDS, run
from infra.commands.test import FAST_TESTS, Scope, checks


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
    assert checks(Scope.FAST)[-1].command[-2:] == FAST_TESTS
    assert checks(Scope.ALL)[-1].command[-1] == "tests"


def test_static_checks_come_before_the_tests() -> None:
    names = [check.name for check in checks(Scope.FAST)]
    assert names == ["ruff check", "ruff format", "import contracts", "mypy strict", "pytest"]
