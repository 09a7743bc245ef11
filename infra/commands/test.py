"""`wundr test`: everything that CI runs; `wundr test fast` is the part that needs no broker."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

app = typer.Typer(add_completion=False)

ROOT: Final = Path(__file__).resolve().parents[2]
FAST_TESTS: Final = ("tests/unit", "tests/architecture")


class Scope(StrEnum):
    """How much to run."""

    ALL = "all"
    FAST = "fast"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A program that must end with 0."""

    name: str
    command: tuple[str, ...]


def checks(scope: Scope, tests: Sequence[str] = ()) -> tuple[Check, ...]:
    """The checks of a scope, static ones first; `tests` are passed on to pytest."""
    tools = Path(sys.executable).parent
    selected = tuple(tests) or (FAST_TESTS if scope is Scope.FAST else ("tests",))
    static = (
        Check(name="ruff check", command=(str(tools / "ruff"), "check", ".")),
        Check(name="ruff format", command=(str(tools / "ruff"), "format", "--check", ".")),
        Check(name="import contracts", command=(str(tools / "lint-imports"), "--no-cache")),
        Check(name="mypy strict", command=(str(tools / "mypy"), "--no-error-summary")),
    )
    pytest = Check(name="pytest", command=(sys.executable, "-m", "pytest", *selected))
    return (*static, pytest)


@app.command()
def run_checks(
    scope: Annotated[Scope, typer.Argument(help="all, or fast: without a broker.")] = Scope.ALL,
    tests: Annotated[list[str] | None, typer.Argument(help="Passed on to pytest.")] = None,
) -> None:
    """Run every check to its end, then say which failed. Exit code 1 if one did.

    Example: wundr test fast
    """
    failed = [check.name for check in checks(scope, tests or ()) if not _passes(check)]
    sys.stderr.write(f"wundr test: failed: {', '.join(failed)}\n" if failed else "")
    if failed:
        raise typer.Exit(1)
    sys.stderr.write("wundr test: everything passed\n")


def _passes(check: Check) -> bool:
    begun = time.monotonic()
    sys.stderr.write(f"wundr test: {check.name} ...\n")
    sys.stderr.flush()
    # The tests start their own installations: what this shell is set to must not reach them.
    kept = ("WUNDR_HOME", "WUNDR_TEST_KAFKA", "WUNDR_TEST_POSTGRES")
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("WUNDR_") or name in kept
    }
    done = subprocess.run(check.command, check=False, cwd=ROOT, env=environment)
    verdict = "ok" if done.returncode == 0 else f"FAILED ({done.returncode})"
    sys.stderr.write(f"wundr test: {check.name} {verdict}, {time.monotonic() - begun:.1f} s\n")
    return done.returncode == 0
