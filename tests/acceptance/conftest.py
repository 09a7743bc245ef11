"""One stack for all demonstrations of a session, and the source files that they analyse."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.demo_rig import make_source_folder
from tests.integration.infra.wundr_command import wundr


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small folder of real source files, two of them broken."""
    return make_source_folder(tmp_path_factory.mktemp("source"))


@pytest.fixture(scope="session")
def demo_folder(session_folder: Path) -> Path:
    """A folder in which a stack runs that every demonstration there leaves running."""
    started = wundr(session_folder, "up")
    assert started.returncode == 0, started.stderr
    return session_folder
