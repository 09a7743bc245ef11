"""Modules run as processes of their own that begin with what all of them need already loaded.

They are forks of one process that has imported it and done nothing else. A worker that is started
by `python -m` needs two seconds of a processor before its first line: tests that start a hundred of
them would mostly wait for imports. What a test can do to a process, it can do to these.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import runpy
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

CONTEXT: Final = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["infra.commands.worker", "streams.runtime.worker"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What is run as `python -m module arguments` would, in `folder`, with its output in `log`."""

    module: str
    arguments: Sequence[str]
    folder: Path
    log: Path
    environment: Mapping[str, str] = field(default_factory=os.environ.copy)

    def run(self) -> None:
        """In the process itself."""
        output = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        for standard in (1, 2):
            os.dup2(output, standard)
        os.environ.clear()
        os.environ.update(self.environment)
        os.chdir(self.folder)
        sys.argv = [self.module, *self.arguments]
        runpy.run_module(self.module, run_name="__main__", alter_sys=True)


class ForkedProcess:
    """A process, as `asyncio.subprocess.Process` shows one."""

    def __init__(self, program: Program) -> None:
        self._process = CONTEXT.Process(target=program.run)
        self._process.start()
        assert self._process.pid is not None
        self.pid: int = self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit code, below zero for a signal; None while it runs."""
        return self._process.exitcode

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def send_signal(self, number: signal.Signals) -> None:
        """To a process that has ended nothing is sent."""
        if self.returncode is None:
            os.kill(self.pid, number)

    async def wait(self) -> int:
        """The exit code, once there is one."""
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        loop.add_reader(self._process.sentinel, ended.set)
        try:
            await ended.wait()
        finally:
            loop.remove_reader(self._process.sentinel)
        self._process.join()
        assert self.returncode is not None
        return self.returncode
