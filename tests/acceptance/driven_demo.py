"""Runs the demonstration in the test's own process: every place stays open to be tampered with."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from examples.analysis.demo.command import prepare_topics
from examples.analysis.demo.places import Places, places
from examples.analysis.demo.plan import DemoFolders
from examples.analysis.demo.run import Counts, Demonstration
from examples.analysis.demo.settings import DemoSettings
from examples.analysis.demo.summary import Summary
from examples.analysis.demo.waiting import until
from examples.analysis.plan import plan
from gateway.client import GatewayClient
from gateway.settings import GatewaySettings
from infra.development_key import development_key
from infra.settings import load_settings
from infra.stack.local import find_endpoints
from infra.stack.ports import any_free_port
from infra.supervisor import Supervisor
from schemas.event import random_id, system_clock
from tests.integration.infra.wundr_command import ROOT

STALLED_S = 4.0
DEADLINE_S = 40.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DrivenDemo:
    """A demonstration whose processes run and whose places are connected."""

    settings: DemoSettings
    at: Places
    supervisor: Supervisor
    demonstration: Demonstration

    async def run(self) -> Summary:
        """One whole run."""
        return await self.demonstration.run(_unseen)

    async def restart(self, *names: str) -> None:
        """End processes as their operator would; returns once the workers are ready again."""
        before = {name: self.supervisor.pid(name) for name in names}
        for pid in before.values():
            assert pid is not None
            os.kill(pid, signal.SIGTERM)

        async def are_back() -> bool:
            again = {name: self.supervisor.pid(name) for name in names}
            started = all(again[name] not in (None, pid) for name, pid in before.items())
            return started and await self.at.workers.are_ready()

        await until(are_back, within_s=DEADLINE_S, every_s=0.1, what=f"{names} did not come back")


@asynccontextmanager
async def driven_demo(
    folder: Path, source: Path, client: GatewayClient | None = None
) -> AsyncIterator[DrivenDemo]:
    """Start the processes on the stack that runs in a folder; ends them with the block."""
    settings = _settings(folder, source)
    supervisor = Supervisor()
    try:
        async with places(settings, client) as at:
            demonstration = Demonstration(settings, at, supervisor)
            await demonstration.start()
            yield DrivenDemo(
                settings=settings, at=at, supervisor=supervisor, demonstration=demonstration
            )
    finally:
        await supervisor.stop()


def _settings(folder: Path, source: Path) -> DemoSettings:
    installed = load_settings({"WUNDR_STATE_DIR": str(folder / ".wundr")})
    endpoints = find_endpoints(installed)
    assert endpoints is not None
    prepare_topics(endpoints, installed)
    run_id = random_id(system_clock())
    return DemoSettings(
        endpoints=endpoints,
        folders=DemoFolders(state_dir=folder / ".wundr", run_id=run_id),
        root=source,
        plans=plan(source, run_id),
        gateway=GatewaySettings(
            jwt_secret=development_key(installed), port=any_free_port(), development=True
        ),
        environment={"WUNDR_STATE_DIR": str(folder / ".wundr"), "PYTHONPATH": str(ROOT)},
        began=time.monotonic(),
        stalled_s=STALLED_S,
    )


def _unseen(_counts: Counts) -> None:
    """Nobody looks at the bars."""
