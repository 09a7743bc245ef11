"""`./wundr` where only Python is: it installs, hands over, and says what is missing."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what a clone would hold."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    folder = tmp_path / "clone"
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder


def start(
    checkout: Path, folder: Path, *words: str, prelude: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run the start script in `folder`; `prelude` runs before it in the same Python."""
    script = checkout / "wundr"
    run = f"runpy.run_path({str(script)!r}, run_name='__main__')"
    patched = f"import runpy, sys; sys.argv = sys.argv[1:]; {prelude}\n{run}"
    command = [sys.executable, *(["-c", patched] if prelude else []), str(script), *words]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=100
    )


@pytest.mark.slow
def test_the_first_start_installs_and_a_later_one_only_when_the_lock_changed(
    checkout: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    first = start(checkout, elsewhere, "--version")
    assert (first.returncode, first.stdout) == (0, "0.1.0\n"), first.stderr
    assert "preparing .venv" in first.stderr
    assert list(elsewhere.iterdir()) == []

    again = start(checkout, elsewhere, "--version")
    assert (again.returncode, again.stdout, again.stderr) == (0, "0.1.0\n", "")

    with (checkout / "requirements.lock").open("a") as lock:
        lock.write("# another lock\n")
    changed = start(checkout, elsewhere, "--version")
    assert changed.returncode == 0
    assert "preparing .venv" in changed.stderr


def test_a_python_that_is_too_old_is_named_with_what_to_do(checkout: Path, tmp_path: Path) -> None:
    refused = start(checkout, tmp_path, prelude="sys.version_info = (3, 9, 2)")
    assert refused.returncode == 1
    assert "Python 3.11 or newer is needed, this is 3.9" in refused.stderr
    assert "python3.12 wundr" in refused.stderr
    assert not (checkout / ".venv").exists()


def test_a_python_without_venv_is_told_which_package_brings_it(
    checkout: Path, tmp_path: Path
) -> None:
    refused = start(checkout, tmp_path, prelude="sys.executable = '/bin/false'")
    assert refused.returncode == 1
    assert "apt-get install python3-venv" in refused.stderr


def test_an_environment_that_was_left_without_pip_is_made_anew(
    checkout: Path, tmp_path: Path
) -> None:
    half = checkout / ".venv" / "bin" / "python"
    half.parent.mkdir(parents=True)
    half.symlink_to(sys.executable)
    # It tries again with the same answer instead of going on without pip.
    refused = start(checkout, tmp_path, prelude="sys.executable = '/bin/false'")
    assert "apt-get install python3-venv" in refused.stderr
