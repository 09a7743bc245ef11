"""Runs one system under test in a process of its own and reads its measurement.

Whatever the program has started ends with it, also when the run is interrupted or takes too long.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.contract import Measurement, RunConfig
from benchmarks.errors import SystemFailed
from benchmarks.system import Environment, System
from schemas import native

ROOT: Final = Path(__file__).resolve().parents[1]
LONGEST_RUN_S: Final = 150.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Launcher:
    """Knows the interpreter of each environment."""

    peers_python: Path

    def command(self, system: System, config: RunConfig) -> list[str]:
        """The command line of a run."""
        own = Path(sys.executable)
        python = own if system.environment is Environment.PROJECT else self.peers_python
        return [str(python), "-m", system.module, config.to_json()]

    def run(
        self, system: System, config: RunConfig, longest_s: float = LONGEST_RUN_S
    ) -> Measurement:
        """Run it to its end. Raises SystemFailed, with the end of its log."""
        log = Path(config.folder) / "log.txt"
        with (
            log.open("wb") as errors,
            subprocess.Popen(
                self.command(system, config),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=ROOT,
                env=environment(os.environ),
                start_new_session=True,
                text=True,
            ) as process,
        ):
            try:
                printed, _ = process.communicate(timeout=longest_s)
            except subprocess.TimeoutExpired:
                reason = f"no end after {longest_s:.0f} s"
                raise SystemFailed(system.name, reason, log) from None
            finally:
                _end(process)
        if process.returncode != 0:
            raise SystemFailed(system.name, f"it ended with {process.returncode}", log)
        return _measurement(system, printed, log)


def environment(given: Mapping[str, str]) -> dict[str, str]:
    """What a program sees of this one's environment: no setting of an installation.

    Only whether it may use the parts in C, so that they can be measured against those in Python.
    """
    return {
        name: value
        for name, value in given.items()
        if name == native.SWITCH or not name.startswith("WUNDR_")
    }


def _end(process: subprocess.Popen[str]) -> None:
    # The group holds what a program has started; it is empty when all went well.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _measurement(system: System, printed: str, log: Path) -> Measurement:
    lines = printed.strip().splitlines()
    try:
        return Measurement(**json.loads(lines[-1]))
    except (LookupError, TypeError, ValueError) as error:
        raise SystemFailed(system.name, f"it printed no measurement ({error!r})", log) from error
