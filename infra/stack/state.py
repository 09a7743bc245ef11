"""What a stack remembers in `stack.json` of its state folder: endpoints, ports and processes.

Written in one step (a half-written file cannot be read), readable by its owner only.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from infra.stack.endpoints import Endpoints
from infra.stack.processes import RecordedProcess

_FILE = "stack.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class StackState:
    """The last known state; `endpoints` is None while nothing runs, `ports` outlive a stop."""

    endpoints: Endpoints | None = None
    ports: Mapping[str, int] = field(default_factory=dict)
    processes: Mapping[str, RecordedProcess] = field(default_factory=dict)
    containers: tuple[str, ...] = ()


def read_state(state_dir: Path) -> StackState:
    """The remembered state; an empty one when there is none or it cannot be read."""
    try:
        content: dict[str, Any] = json.loads((state_dir / _FILE).read_text())
        endpoints = content["endpoints"]
        return StackState(
            endpoints=Endpoints(**endpoints) if endpoints else None,
            ports=content["ports"],
            processes={name: RecordedProcess(**it) for name, it in content["processes"].items()},
            containers=tuple(content["containers"]),
        )
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        # Processes are found by their command line too, so a lost file loses no process.
        return StackState()


def write_state(state_dir: Path, state: StackState) -> None:
    """Replace the remembered state."""
    state_dir.mkdir(parents=True, exist_ok=True)
    new = state_dir / f"{_FILE}.new"
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(asdict(state), file, indent=2)
    new.replace(state_dir / _FILE)


@contextmanager
def stack_lock(state_dir: Path) -> Iterator[None]:
    """Let one command at a time start or stop the stack of a folder."""
    state_dir.mkdir(parents=True, exist_ok=True)
    with (state_dir / "stack.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
