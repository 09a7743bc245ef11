"""`wundr test`: everything that CI runs; `wundr test fast` is the part that needs no broker."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Annotated, Final

import typer

app = typer.Typer(add_completion=False)

ROOT: Final = Path(__file__).resolve().parents[2]
FAST_TESTS: Final = ("tests/unit", "tests/architecture")
PARTS_TESTS: Final = (*FAST_TESTS, "tests/contracts")
INTEGRATION_TESTS: Final = {
    "pytest, connectors": ("tests/integration/connectors", "tests/integration/gateway"),
    "pytest, workers": ("tests/integration/runtime", "tests/integration/streams"),
    "pytest, commands": (
        *("tests/integration/infra", "tests/integration/projections"),
        "tests/integration/sagas",
    ),
}
"""Each takes about as long as the others: they wait for sessions to end and processes to start."""
ACCEPTANCE_TESTS: Final = ("tests/acceptance",)

SESSION_S: Final = 2_400
"""After so long a run of pytest begins no further test: each of them may be waiting in vain."""

LIMIT_S: Final = SESSION_S + 300
"""When a run that does not end is stopped, so that what it printed is seen."""

LAST_WORDS_S: Final = 20
"""How long a run that is stopped has to print where its threads stand."""


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
    """The runs of pytest, which go side by side: tests of real parts wait most of their time.

    `tests` are passed on to one run.
    """
    if tests:
        selections = {"pytest": tuple(tests)}
    elif scope is Scope.FAST:
        selections = {"pytest": FAST_TESTS}
    else:
        selections = {
            "pytest, parts": PARTS_TESTS,
            **INTEGRATION_TESTS,
            "pytest, acceptance": ACCEPTANCE_TESTS,
        }
    return tuple(
        Check(name=name, command=(*_PYTEST, *selected)) for name, selected in selections.items()
    )


_PYTEST: Final = (sys.executable, "-m", "pytest", f"--session-timeout={SESSION_S}")


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


def failing(side_by_side: Sequence[Check]) -> list[str]:
    """Run checks at the same time; the names of those that failed.

    What the first prints is seen at once, what the others print when they have ended.
    """
    begun = time.monotonic()
    with ExitStack() as running:
        started = []
        for number, check in enumerate(side_by_side):
            output = running.enter_context(TemporaryFile()) if number else None
            process = _start(check, output)
            running.callback(process.kill)
            started.append((check, (process, output)))
        return [check.name for check, run in started if not _ended(check, run, begun)]


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


def _ended(check: Check, started: _Started, begun: float) -> bool:
    process, output = started
    code = _code_of(process, begun)
    if output is not None:
        output.seek(0)
        sys.stdout.buffer.write(output.read())
        sys.stdout.flush()
    verdict = "ok" if code == 0 else f"FAILED ({code})"
    sys.stderr.write(f"wundr test: {check.name} {verdict}, {time.monotonic() - begun:.1f} s\n")
    return code == 0


def _code_of(process: subprocess.Popen[bytes], begun: float) -> int:
    """With what it ends; one that does not end says where it stands and is stopped."""
    try:
        return process.wait(max(0.0, begun + LIMIT_S - time.monotonic()))
    except subprocess.TimeoutExpired:
        sys.stderr.write(f"wundr test: no end within {LIMIT_S} s, stopped\n")
        process.send_signal(signal.SIGABRT)
    try:
        return process.wait(LAST_WORDS_S)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


_Started = tuple[subprocess.Popen[bytes], IO[bytes] | None]
