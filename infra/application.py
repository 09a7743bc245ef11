"""Which processes of an application run in a folder, written down for `wundr status`."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Final

from infra.stack.processes import RecordedProcess, record

FILE: Final = "application.json"
MARK: Final = "infra"
"""Stands in the command line of every process of the platform: `python -m infra ...`."""


class ApplicationRecord:
    """Follows a supervisor: a later process replaces an earlier one of its name."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / FILE
        self._processes: dict[str, RecordedProcess] = {}

    def started(self, name: str, pid: int) -> None:
        """Write a process down, in one step; one that has ended already is left out."""
        process = record(pid, MARK)
        if process is None:
            return
        self._processes[name] = process
        new = self._path.with_suffix(f".{os.getpid()}")
        new.write_text(json.dumps({key: asdict(it) for key, it in self._processes.items()}))
        new.replace(self._path)


def recorded_application(state_dir: Path) -> Mapping[str, RecordedProcess]:
    """The processes that were written down last; judge them before believing that they run."""
    try:
        content = json.loads((state_dir / FILE).read_text())
        return {name: RecordedProcess(**it) for name, it in content.items()}
    except (FileNotFoundError, ValueError, TypeError):
        return {}
