"""Runs the processes of an application.

Starts them, starts again what died, ends all of them together.
"""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

import structlog

from infra.parentage import die_with_parent
from streams.retry import RetrySchedule

STOP_DEADLINE_S: Final = 12.0
"""How long a process may drain after SIGTERM before it is killed."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessPlan:
    """One process.

    What to run, where its output goes, and whether it is started again when it ends.
    """

    name: str
    command: Sequence[str]
    log_file: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    restarts: bool = True


@dataclass(slots=True)
class _Supervised:
    """A plan with its present process."""

    plan: ProcessPlan
    output: IO[bytes]
    process: asyncio.subprocess.Process | None = None
    starts: int = 0
    exit_code: int | None = None


class Supervisor:
    """Keeps processes running until `stop`.

    A process that ends is started again after a growing delay.

    `started` is told of each start with the name and the pid, so that a state file can follow.
    """

    def __init__(self, started: Callable[[str, int], None] = lambda name, pid: None) -> None:
        self._started = started
        self._supervised: dict[str, _Supervised] = {}
        self._tasks: dict[str, asyncio.Task[int]] = {}
        self._schedule = RetrySchedule(first_delay_s=0.2, factor=2.0, longest_delay_s=5.0)
        self._stopping = asyncio.Event()

    def start(self, plan: ProcessPlan) -> None:
        """Start a process and watch over it."""
        plan.log_file.parent.mkdir(parents=True, exist_ok=True)
        supervised = _Supervised(plan=plan, output=plan.log_file.open("ab"))
        self._supervised[plan.name] = supervised
        self._tasks[plan.name] = asyncio.create_task(self._watch(supervised), name=plan.name)

    async def finished(self, name: str) -> int:
        """The exit code of a process that is not started again."""
        return await asyncio.shield(self._tasks[name])

    def pid(self, name: str) -> int | None:
        """The process id at the moment."""
        process = self._supervised[name].process
        return None if process is None or process.returncode is not None else process.pid

    @property
    def restarts(self) -> int:
        """How often any process had to be started again."""
        return sum(max(0, supervised.starts - 1) for supervised in self._supervised.values())

    async def stop(self) -> None:
        """SIGTERM to all, a bounded time to drain, then SIGKILL. Returns when none is left."""
        self._stopping.set()
        for supervised in self._supervised.values():
            _signal(supervised, signal.SIGTERM)
        _, late = (
            await asyncio.wait(self._tasks.values(), timeout=STOP_DEADLINE_S)
            if self._tasks
            else ((), ())
        )
        if late:
            log.warning(
                "killing processes that did not drain", names=[task.get_name() for task in late]
            )
            for supervised in self._supervised.values():
                _signal(supervised, signal.SIGKILL)
            await asyncio.wait(late)
        for supervised in self._supervised.values():
            supervised.output.close()

    async def _watch(self, supervised: _Supervised) -> int:
        failures = 0
        while True:
            began = time.monotonic()
            code = await self._run(supervised)
            if self._stopping.is_set() or not supervised.plan.restarts:
                return code
            failures = (
                1 if time.monotonic() - began > self._schedule.longest_delay_s else failures + 1
            )
            log.warning("process ended, starting again", name=supervised.plan.name, exit_code=code)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), self._schedule.delay_s(failures))
                return code

    async def _run(self, supervised: _Supervised) -> int:
        supervised.starts += 1
        supervised.process = await asyncio.create_subprocess_exec(
            *supervised.plan.command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=supervised.output,
            stderr=supervised.output,
            env={**os.environ, **supervised.plan.environment},
            # Ctrl-C in a terminal reaches whole sessions: these processes are ended by `stop`.
            start_new_session=True,
            preexec_fn=die_with_parent,
        )
        self._started(supervised.plan.name, supervised.process.pid)
        if self._stopping.is_set():
            # `stop` came while it was being started, and found nobody to tell.
            _signal(supervised, signal.SIGTERM)
        supervised.exit_code = await supervised.process.wait()
        return supervised.exit_code


def _signal(supervised: _Supervised, number: signal.Signals) -> None:
    process = supervised.process
    if process is not None and process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)
