"""Commands speak of the apps that are named, that run, or of the reference application."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.known_apps import known_apps, worked_on
from streams.runtime.errors import AppNotFound


def test_the_reference_app_is_known_where_none_runs(tmp_path: Path) -> None:
    assert [app.name for app in known_apps((), tmp_path)] == ["analysis"]


def test_an_app_that_is_named_twice_is_known_once(tmp_path: Path) -> None:
    twice = ["examples.analysis.app", "examples.analysis.app:app"]
    assert len(known_apps(twice, tmp_path)) == 1


def test_a_path_without_an_app_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AppNotFound):
        known_apps(["no.such.module"], tmp_path)


def test_running_apps_are_told_by_the_command_lines_of_their_workers() -> None:
    lines = [
        ["python", "-m", "infra", "worker", "team.app", "--run-file", "x"],
        ["python", "-m", "infra", "worker", "platform"],
        ["python", "-m", "infra", "sink"],
        ["python", "-m", "infra", "worker", "team.app"],
    ]
    assert worked_on(lines) == ["team.app"]
