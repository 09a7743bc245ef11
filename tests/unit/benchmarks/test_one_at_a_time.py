"""Benches that run side by side would measure each other."""

from pathlib import Path

import pytest

from benchmarks.command import Request, run_benches
from infra.folder_lock import ApplicationRuns, application_lock
from infra.settings import load_settings


def test_a_second_bench_of_a_folder_is_refused(tmp_path: Path) -> None:
    request = Request(
        names=("codec",), rounds=1, seconds=0.1, only=(), plot=None, results=None, as_json=True
    )
    settings = load_settings({"WUNDR_STATE_DIR": str(tmp_path)})
    with (
        application_lock(tmp_path / "bench"),
        pytest.raises(ApplicationRuns, match="already runs in"),
    ):
        run_benches(settings, request)
