"""The state file survives a restart, keeps to its owner, and its loss is no error."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from infra.stack.endpoints import Endpoints
from infra.stack.processes import RecordedProcess
from infra.stack.state import StackState, read_state, write_state

STATE = StackState(
    endpoints=Endpoints(
        kafka_bootstrap="127.0.0.1:9092", postgres_dsn="postgresql://x:pw@/y", provider="embedded"
    ),
    ports={"kafka": 9092},
    processes={"kafka": RecordedProcess(pid=1, started=2.5, mark="/m")},
    containers=("a",),
)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    write_state(tmp_path / "new", STATE)
    assert read_state(tmp_path / "new") == STATE


def test_only_the_owner_may_read_the_file(tmp_path: Path) -> None:
    write_state(tmp_path, STATE)
    assert stat.S_IMODE((tmp_path / "stack.json").stat().st_mode) == 0o600


@pytest.mark.parametrize("content", ["", "{", "{}", '{"endpoints": {"port": 1}}'])
def test_an_unreadable_file_is_an_empty_state(tmp_path: Path, content: str) -> None:
    (tmp_path / "stack.json").write_text(content)
    assert read_state(tmp_path) == StackState()


def test_the_database_address_is_not_in_the_repr() -> None:
    assert "pw" not in repr(STATE)
