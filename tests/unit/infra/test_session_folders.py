"""Sessions that start at the same time find what a killed one left behind only once."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from tests.session_folders import make_folder, remove_leftovers

SESSIONS = 4


@pytest.fixture
def leftover(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of a process that has ended, with enough files for two to meet in it."""
    ended = max(psutil.pids()) + 1
    monkeypatch.setattr(os, "getpid", lambda: ended)
    folder = make_folder(tmp_path)
    monkeypatch.undo()
    for number in range(500):
        (folder / str(number)).touch()
    return folder


def test_sessions_that_start_together_remove_a_leftover_once(
    tmp_path: Path, leftover: Path
) -> None:
    with ThreadPoolExecutor(SESSIONS) as pool:
        list(pool.map(remove_leftovers, [tmp_path] * SESSIONS))
    assert not leftover.exists()


def test_the_folder_of_a_session_that_runs_stays(tmp_path: Path) -> None:
    folder = make_folder(tmp_path)
    remove_leftovers(tmp_path)
    assert folder.is_dir()
