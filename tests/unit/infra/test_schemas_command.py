import json

import pytest

from infra.cli import run
from infra.commands import schemas as command
from schemas.catalog import Catalog
from schemas.errors import Fault
from schemas.generation import Changes

FAULT = Fault(file="domain/x.y/1.0.0.avsc", path="doc", problem="has no doc", remedy="say it")


def test_check_says_that_every_rule_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["schemas", "check"]) == 0
    types = len(tuple(Catalog.load().types()))
    assert f"{types} event types in " in capsys.readouterr().out


def test_check_names_every_fault_and_fails(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "all_faults", lambda: [FAULT, FAULT])
    assert run(["schemas", "check"]) == 1
    told = capsys.readouterr().err
    assert "2 faults" in told
    assert "domain/x.y/1.0.0.avsc: doc: has no doc → say it" in told


def test_check_tells_machines_in_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "all_faults", lambda: [FAULT])
    assert run(["schemas", "check", "--json"]) == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["faults"][0]["path"] == "doc"


def test_generate_refuses_files_that_break_a_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Changes] = []
    monkeypatch.setattr(command, "rule_faults", lambda: [FAULT])
    monkeypatch.setattr(command, "apply", written.append)
    assert run(["schemas", "generate"]) == 1
    assert written == []


def test_generate_with_check_writes_nothing_and_fails_on_a_stale_file(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Changes] = []
    stale = Changes(written={"events/ui.py": ""}, removed=())
    monkeypatch.setattr(command, "changes", lambda: stale)
    monkeypatch.setattr(command, "apply", written.append)
    assert run(["schemas", "generate", "--check"]) == 1
    assert capsys.readouterr().out == "stale events/ui.py\n"
    assert written == []
    assert run(["schemas", "generate"]) == 0
    assert written == [stale]
