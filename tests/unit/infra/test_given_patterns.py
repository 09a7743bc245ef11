"""A pattern of event types that is none is wrong usage with every command that takes one."""

from __future__ import annotations

import pytest

from infra.cli import run

COMMANDS = (
    ("dlq", "redrive"),
    ("dlq", "drop"),
    ("events", "tail"),
    ("replay", "examples.analysis.app", "notify"),
)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_what_is_no_pattern_is_wrong_usage(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert run([*words, "--type", "a b"]) == 2
    shown = capsys.readouterr().err
    assert "--type" in shown
    assert "'a b' is no pattern of event types: Use `*`, a type such as" in shown
