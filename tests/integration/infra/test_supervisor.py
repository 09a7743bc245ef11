"""Processes are kept running, and all of them end together."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest

from infra.supervisor import STOP_DEADLINE_S, ProcessPlan, Supervisor

DEADLINE_S = 20.0
SLEEPS = "import time; print('runs', flush=True); time.sleep(60)"


@pytest.fixture
async def supervisor() -> AsyncIterator[Supervisor]:
    supervisor = Supervisor()
    yield supervisor
    await supervisor.stop()


def plan(folder: Path, program: str, *, name: str = "one", restarts: bool = True) -> ProcessPlan:
    return ProcessPlan(
        name=name,
        command=[sys.executable, "-S", "-c", program],
        log_file=folder / "logs" / f"{name}.log",
        environment={"GREETING": "hello"},
        restarts=restarts,
    )


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110  # what is waited for is outside this process
            await asyncio.sleep(0.01)


async def test_a_process_that_was_killed_is_started_again(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    supervisor.start(plan(tmp_path, SLEEPS))
    await until(lambda: supervisor.pid("one") is not None)
    first = supervisor.pid("one")
    assert first is not None
    psutil.Process(first).kill()
    await until(lambda: supervisor.pid("one") not in (None, first))
    assert supervisor.restarts == 1


async def test_a_process_with_an_end_is_not_started_again(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    supervisor.start(plan(tmp_path, "raise SystemExit(3)", restarts=False))
    assert await supervisor.finished("one") == 3
    assert supervisor.restarts == 0
    assert supervisor.pid("one") is None


async def test_output_goes_to_the_log_and_the_environment_is_added_to_ours(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    program = "import os; print(os.environ['GREETING'], 'PATH' in os.environ)"
    supervisor.start(plan(tmp_path, program, restarts=False))
    await supervisor.finished("one")
    assert (tmp_path / "logs" / "one.log").read_text() == "hello True\n"


async def test_stop_ends_all_processes_and_starts_none_again(tmp_path: Path) -> None:
    started: list[int] = []
    supervisor = Supervisor(lambda _name, pid: started.append(pid))
    for name in ("one", "two"):
        supervisor.start(plan(tmp_path, SLEEPS, name=name))
    await until(lambda: len(started) == 2)
    await supervisor.stop()
    assert len(started) == 2
    assert not [pid for pid in started if psutil.pid_exists(pid)]


async def test_a_stop_while_a_process_is_being_started_ends_it_too(tmp_path: Path) -> None:
    supervisor = Supervisor()
    supervisor.start(plan(tmp_path, SLEEPS))
    async with asyncio.timeout(STOP_DEADLINE_S / 2):
        await supervisor.stop()
    assert supervisor.pid("one") is None


async def test_processes_are_out_of_reach_of_the_terminals_ctrl_c(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    leads_a_session = "import os; print(os.getsid(0) == os.getpid())"
    supervisor.start(plan(tmp_path, leads_a_session, restarts=False))
    await supervisor.finished("one")
    assert (tmp_path / "logs" / "one.log").read_text() == "True\n"
