"""`wundr test`: everything that CI runs; `wundr test fast` is the part that needs no broker."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryFile
from threading import Lock
from typing import IO, Annotated, Final

import typer

app = typer.Typer(add_completion=False)

ROOT: Final = Path(__file__).resolve().parents[2]
FAST_TESTS: Final = ("tests/unit", "tests/architecture")
PARTS_TESTS: Final = (*FAST_TESTS, "tests/contracts")
INTEGRATION_TESTS: Final = {
    "pytest, commands": (
        *("tests/integration/infra", "tests/integration/projections"),
        "tests/integration/sagas",
    ),
    "pytest, workers": ("tests/integration/runtime", "tests/integration/streams"),
    "pytest, connectors": ("tests/integration/connectors", "tests/integration/gateway"),
}
"""Each takes about as long as the others: they wait for sessions to end and processes to start."""
ACCEPTANCE_TESTS: Final = ("tests/acceptance",)

AT_ONCE: Final = 3
"""Runs at a time: they wait much, but with more of them two cores let starts run into limits."""

SESSION_S: Final = 1_500
"""After so long a run of pytest begins no further test: each of them may be waiting in vain."""

LIMIT_S: Final = SESSION_S + 300
"""When a run that does not end is stopped, so that what it printed is seen."""

LAST_WORDS_S: Final = 20
"""How long a run that is stopped has to print where its threads stand."""


_SPEAKING: Final = Lock()
"""Held by the run that prints."""

_PYTEST: Final = (sys.executable, "-m", "pytest", f"--session-timeout={SESSION_S}")


class Scope(StrEnum):
    """How much to run."""

    ALL = "all"
    FAST = "fast"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A program that must end with 0."""

    name: str
    command: tuple[str, ...]


def static_checks() -> tuple[Check, ...]:
    """What only reads the sources."""
    tools = Path(sys.executable).parent
    return (
        Check(name="ruff check", command=(str(tools / "ruff"), "check", ".")),
        Check(name="ruff format", command=(str(tools / "ruff"), "format", "--check", ".")),
        Check(name="import contracts", command=(str(tools / "lint-imports"), "--no-cache")),
        Check(name="mypy strict", command=(str(tools / "mypy"), "--no-error-summary")),
    )


def pytest_runs(scope: Scope, tests: Sequence[str] = ()) -> tuple[Check, ...]:
    """The runs of pytest, the longest first. Some go side by side: real parts make tests wait.

    `tests` are passed on to one run.
    """
    if tests:
        selections = {"pytest": tuple(tests)}
    elif scope is Scope.FAST:
        selections = {"pytest": FAST_TESTS}
    else:
        selections = {
            "pytest, acceptance": ACCEPTANCE_TESTS,
            **INTEGRATION_TESTS,
            "pytest, parts": PARTS_TESTS,
        }
    return tuple(
        Check(name=name, command=(*_PYTEST, *selected)) for name, selected in selections.items()
    )


@app.command()
def run_checks(
    scope: Annotated[Scope, typer.Argument(help="all, or fast: without a broker.")] = Scope.ALL,
    tests: Annotated[list[str] | None, typer.Argument(help="Passed on to pytest.")] = None,
) -> None:
    """Run every check to its end, then say which failed. Exit code 1 if one did.

    Example: wundr test fast
    """
    failed = [check.name for check in static_checks() if not _pass(check)]
    failed += failing(pytest_runs(scope, tests or ()))
    sys.stderr.write(f"wundr test: failed: {', '.join(failed)}\n" if failed else "")
    if failed:
        raise typer.Exit(1)
    sys.stderr.write("wundr test: everything passed\n")


def _pass(check: Check) -> bool:
    return not failing([check])


def failing(checks: Sequence[Check]) -> list[str]:
    """Run checks, some of them at the same time; the names of those that failed.

    What the first prints is seen at once, what the others print when they have ended.
    """
    running: list[subprocess.Popen[bytes]] = []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        outcomes = [
            pool.submit(_passes, check, number, running) for number, check in enumerate(checks)
        ]
        try:
            return [
                check.name for check, it in zip(checks, outcomes, strict=True) if not it.result()
            ]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in running:
                process.kill()
            raise


def _passes(check: Check, number: int, running: list[subprocess.Popen[bytes]]) -> bool:
    begun = time.monotonic()
    with TemporaryFile() as output:
        process = _start(check, output if number else None)
        running.append(process)
        code = _code_of(process)
        output.seek(0)
        printed = output.read()
    verdict = "ok" if code == 0 else f"FAILED ({code})"
    with _SPEAKING:
        sys.stdout.buffer.write(printed)
        sys.stdout.flush()
        sys.stderr.write(f"wundr test: {check.name} {verdict}, {time.monotonic() - begun:.1f} s\n")
    return code == 0


def _start(check: Check, output: IO[bytes] | None) -> subprocess.Popen[bytes]:
    sys.stderr.write(f"wundr test: {check.name} ...\n")
    sys.stderr.flush()
    # The tests start their own installations: what this shell is set to must not reach them.
    kept = ("WUNDR_HOME", "WUNDR_TEST_KAFKA", "WUNDR_TEST_POSTGRES")
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("WUNDR_") or name in kept
    }
    environment["PYTHONFAULTHANDLER"] = "1"
    return subprocess.Popen(check.command, cwd=ROOT, env=environment, stdout=output, stderr=output)


def _code_of(process: subprocess.Popen[bytes]) -> int:
    """With what it ends; one that does not end says where it stands and is stopped."""
    try:
        return process.wait(LIMIT_S)
    except subprocess.TimeoutExpired:
        sys.stderr.write(f"wundr test: no end within {LIMIT_S} s, stopped\n")
        process.send_signal(signal.SIGABRT)
    try:
        return process.wait(LAST_WORDS_S)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
