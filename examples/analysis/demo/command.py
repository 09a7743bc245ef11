"""`wundr demo`: one command from nothing to real events on a page."""

import asyncio
import json
import signal
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from examples.analysis.app import app as team_app
from examples.analysis.demo.chaos import Poison
from examples.analysis.demo.display import Display
from examples.analysis.demo.logs import logging_to
from examples.analysis.demo.places import places
from examples.analysis.demo.plan import DemoFolders
from examples.analysis.demo.run import Demonstration
from examples.analysis.demo.settings import DemoSettings
from examples.analysis.demo.summary import Summary
from examples.analysis.faults import VARIABLE
from examples.analysis.plan import PackagePlan, plan
from gateway.settings import GatewaySettings
from infra.application import ApplicationRecord
from infra.development_key import development_key
from infra.errors import PortTaken
from infra.folder_lock import application_lock
from infra.settings import Settings
from infra.stack.endpoints import Endpoints
from infra.stack.local import absolute, choose_provider, running_stack
from infra.stack.ports import any_free_port, is_port_free
from infra.supervisor import Supervisor
from infra.topics import apply
from infra.topics import plan as plan_topics
from schemas.catalog import Catalog
from schemas.event import random_id, system_clock
from schemas.topics import platform_topics


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """How the demonstration is wanted.

    With `once` everything is ended after the analysis, otherwise at Ctrl-C; with `json` one line
    has the counts; with `chaos` some events fail until they are mended and redriven.
    """

    once: bool = False
    json: bool = False
    chaos: bool = False


def demonstrate(settings: Settings, root: Path, wish: Wish, began: float) -> bool:
    """Run the demonstration; whether everything arrived once.

    `began` is when the command began, on the monotonic clock. Raises SourceFolderMissing,
    NothingToAnalyse, PortTaken, ApplicationRuns, StackError; KeyboardInterrupt when it was ended by
    a signal.
    """
    display = Display(Console(stderr=True, highlight=False), began)
    run_id = random_id(system_clock())
    plans = plan(root, run_id)
    _check_gateway_port(settings)
    folders = DemoFolders(state_dir=absolute(settings.state_dir), run_id=run_id)
    with application_lock(folders.state_dir), logging_to(folders.log("demo")):
        display.stack_starts(choose_provider(settings))
        with running_stack(settings) as endpoints:
            try:
                display.stack_runs(endpoints)
                display.topics_ready(prepare_topics(endpoints, settings))
                demo = _demo_settings(settings, folders, endpoints, root, plans, began)
                demo = poisoned(demo) if wish.chaos else demo
                summary = asyncio.run(_run(demo, display, wish))
            finally:
                # All that is left is to end what was started, in bounded time.
                _ignore_signals()
    if summary is None:
        raise KeyboardInterrupt
    return summary.is_whole


async def _run(demo: DemoSettings, display: Display, wish: Wish) -> Summary | None:
    """The run's summary; None when a signal ended it. Every process has ended on return."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    supervisor = Supervisor(ApplicationRecord(demo.folders.state_dir).started)
    running = asyncio.create_task(_demonstrate(demo, display, supervisor))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            return None
        summary = running.result()
        if wish.json:
            sys.stdout.write(json.dumps(summary.as_json()) + "\n")
            sys.stdout.flush()
        display.result(summary)
        if wish.once:
            return summary
        display.goes_on(summary.console_url)
        await stop.wait()
        return None
    finally:
        display.ends()
        running.cancel()
        stopping.cancel()
        await asyncio.gather(running, stopping, return_exceptions=True)
        await supervisor.stop()


async def _demonstrate(demo: DemoSettings, display: Display, supervisor: Supervisor) -> Summary:
    async with places(demo) as at:
        run = Demonstration(demo, at, supervisor)
        display.processes_start(demo.folders)
        await run.start()
        display.processes_ready(demo.gateway_url)
        with display.bars(demo.files) as bars:
            return await run.run(bars.follow, display)


def poisoned(demo: DemoSettings) -> DemoSettings:
    """The same run with events on which its workers fail."""
    poison = Poison.of(demo.plans, demo.root)
    poison.spread(demo.folders.faults)
    environment = {**demo.environment, VARIABLE: str(demo.folders.faults)}
    return replace(demo, poison=poison, environment=environment)


def _demo_settings(
    settings: Settings,
    folders: DemoFolders,
    endpoints: Endpoints,
    root: Path,
    plans: tuple[PackagePlan, ...],
    began: float,
) -> DemoSettings:
    return DemoSettings(
        endpoints=endpoints,
        folders=folders,
        root=root,
        plans=plans,
        gateway=GatewaySettings(
            jwt_secret=development_key(settings),
            port=settings.gateway_port or any_free_port(),
            development=True,
        ),
        environment={"WUNDR_STATE_DIR": str(folders.state_dir)},
        began=began,
    )


def _check_gateway_port(settings: Settings) -> None:
    """Before anything is started. Raises PortTaken."""
    port = settings.gateway_port
    if port and not is_port_free(port):
        raise PortTaken("WUNDR_GATEWAY_PORT", port)


def _ignore_signals() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def prepare_topics(endpoints: Endpoints, settings: Settings) -> int:
    """Create the topics that are missing; how many the demonstration has."""
    specs = (
        *platform_topics(Catalog.load(), settings.partitions),
        *team_app.topic_specs(settings.partitions),
    )
    apply(endpoints.kafka_bootstrap, plan_topics(endpoints.kafka_bootstrap, specs))
    return len(specs)
