"""Lines fit the terminal, or the width that COLUMNS names; what is read on stays whole."""

from __future__ import annotations

import pytest

from infra.cli import run
from infra.commands import doctor
from infra.finding import Finding
from infra.output_width import output_width

LONG = Finding(
    check="dead letters",
    message=f"12 of team, the oldest 3 h old: a.b in team.main/check (ValueError: {'no ' * 200})",
    remedy="wundr dlq list team; then redrive or drop them, which is all that can be done here",
)


@pytest.mark.parametrize(("columns", "width"), [("80", 80), ("wide", 180), (None, 180)])
def test_a_pipe_is_as_wide_as_columns_says(
    columns: str | None, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns is not None:
        monkeypatch.setenv("COLUMNS", columns)
    assert output_width(180) == width


def test_a_finding_fits_the_terminal_and_a_long_error_is_cut(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "examine", lambda _settings: [LONG])
    monkeypatch.setenv("COLUMNS", "80")
    assert run(["doctor"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith("!!  dead letters 12 of team, the oldest 3 h old: a.b in")
    assert lines[1].startswith(" " * 17)
    assert "(whole with --json)" in " ".join(lines)
    assert len(lines) < 9
    assert run(["doctor", "--json"]) == 1
    assert LONG.message in capsys.readouterr().out


def test_a_finding_that_is_piped_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "examine", lambda _settings: [LONG])
    monkeypatch.delenv("COLUMNS", raising=False)
    assert run(["doctor"]) == 1
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_what_is_not_to_be_broken_stays_whole() -> None:
    path = "/a/place/that/is/rather/long" * 3
    lines = list(doctor.finding_lines(Finding(check="disk", message=f"no {path}"), 40))
    assert [line.strip() for line in lines][-1] == path


def test_an_explanation_fits_the_columns_that_are_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert run(["events", "explain", "analysis.completed", "examples.analysis.app"]) == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 80
