"""What `wundr bench` does: servers up, each bench in turn, results written and shown."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from benchmarks.bench import Bench, Stage
from benchmarks.catalogue import load
from benchmarks.documents import RESULTS, table
from benchmarks.launch import Launcher
from benchmarks.peer_environment import peers_python
from benchmarks.plot import svg
from benchmarks.screen import Screen, show
from benchmarks.session import Plan, run_bench
from infra.folder_lock import application_lock
from infra.settings import ProviderName, Settings, load_settings
from infra.stack.local import absolute, running_stack

WHOLE_SECONDS: Final = 5.0
"""A run that measured less is shown, but not kept: start-up weighs too much in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked for; `results` None writes whole runs to their place in the tree."""

    names: tuple[str, ...]
    rounds: int
    seconds: float
    only: tuple[str, ...]
    plot: Path | None
    results: Path | None
    as_json: bool

    @property
    def folder(self) -> Path | None:
        """Where results go, if anywhere."""
        if self.results is not None:
            return self.results
        return RESULTS if self.seconds >= WHOLE_SECONDS and not self.only else None


def run_benches(settings: Settings, request: Request) -> None:
    """Run and show them. Raises BenchError, StackError, ApplicationRuns.

    Two at a time would measure each other, and the first to end would end the other's broker.
    """
    folder = absolute(settings.state_dir) / "bench"
    plan = Plan(rounds=request.rounds, only=request.only)
    with application_lock(folder), Screen() as screen:
        for name in request.names:
            screen.begin(name)
            bench = load(name)
            with _stage(bench, folder, request.seconds, screen) as stage:
                budget_s = plan.budget_s - screen.elapsed
                result = run_bench(bench, stage, replace(plan, budget_s=budget_s))
            screen.end()
            _keep(result, request)
            if request.as_json:
                sys.stdout.write(json.dumps(result) + "\n")
                sys.stdout.flush()
            else:
                show(result)


def print_table() -> None:
    """Print what the results in the tree show."""
    sys.stdout.write(table())


@contextmanager
def _stage(bench: Bench, folder: Path, seconds: float, screen: Screen) -> Iterator[Stage]:
    folder.mkdir(parents=True, exist_ok=True)
    stage = Stage(
        folder=folder,
        bootstrap="",
        launcher=Launcher(peers_python=peers_python(folder, screen.say)),
        seconds=seconds,
        say=screen.say,
    )
    if not bench.needs_kafka:
        yield stage
        return
    screen.say("starting Kafka")
    # A broker of its own: what runs in this folder is neither disturbed nor filled up.
    own = load_settings({}, provider=ProviderName.EMBEDDED, state_dir=folder / "stack")
    with running_stack(own) as endpoints:
        yield replace(
            stage,
            bootstrap=endpoints.kafka_bootstrap,
            postgres_dsn=endpoints.postgres_dsn,
        )


def _keep(result: dict[str, Any], request: Request) -> None:
    if request.folder is not None:
        request.folder.mkdir(parents=True, exist_ok=True)
        file = request.folder / f"{result['bench']}.json"
        file.write_text(json.dumps(result, indent=2) + "\n")
    if request.plot is not None:
        request.plot.mkdir(parents=True, exist_ok=True)
        (request.plot / f"{result['bench']}.svg").write_text(svg(result))
