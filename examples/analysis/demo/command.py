"""`wundr demo`: one command from nothing to real events on a page."""

import asyncio
import json
import signal
import sys
from pathlib import Path

from rich.console import Console

from examples.analysis.app import app as team_app
from examples.analysis.demo.display import run_display, show_address, show_result
from examples.analysis.demo.plan import DemoFolders
from examples.analysis.demo.run import Demonstration, DemoSettings, places
from examples.analysis.demo.summary import Summary
from examples.analysis.plan import plan
from gateway.settings import GatewaySettings
from infra.development_key import development_key
from infra.folder_lock import application_lock
from infra.settings import Settings
from infra.stack.endpoints import Endpoints
from infra.stack.local import running_stack
from infra.stack.ports import any_free_port
from infra.supervisor import Supervisor
from infra.topics import apply
from infra.topics import plan as plan_topics
from schemas.catalog import Catalog
from schemas.event import random_id, system_clock
from schemas.topics import platform_topics


def demonstrate(settings: Settings, root: Path, *, began: float, once: bool, as_json: bool) -> bool:
    """Run the demonstration; whether everything arrived once.

    Raises SourceFolderMissing, StackError and others.

    `began` is when the command began, on the monotonic clock. With `once` everything is ended after
    the analysis, otherwise at Ctrl-C.
    """
    console = Console(stderr=True)
    run_id = random_id(system_clock())
    plans = plan(root, run_id)
    with application_lock(settings.state_dir.absolute()), running_stack(settings) as endpoints:
        _prepare_topics(endpoints, settings)
        demo = DemoSettings(
            endpoints=endpoints,
            folders=DemoFolders(state_dir=settings.state_dir.absolute(), run_id=run_id),
            root=root,
            plans=plans,
            gateway=GatewaySettings(
                jwt_secret=development_key(settings),
                port=settings.gateway_port or any_free_port(),
                development=True,
            ),
            environment={"WUNDR_STATE_DIR": str(settings.state_dir.absolute())},
            began=began,
        )
        summary = asyncio.run(_run(demo, console, once=once, as_json=as_json))
    return summary.is_whole


async def _run(demo: DemoSettings, console: Console, *, once: bool, as_json: bool) -> Summary:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    supervisor = Supervisor()
    try:
        running = asyncio.create_task(_demonstrate(demo, console, supervisor))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            running.cancel()
            await asyncio.wait({running})
            raise KeyboardInterrupt
        summary = running.result()
        if as_json:
            sys.stdout.write(json.dumps(summary.as_json()) + "\n")
            sys.stdout.flush()
        show_result(console, summary)
        if not once:
            show_address(console, summary.console_url)
            console.print("Everything goes on running. Ctrl-C ends it.")
            await stop.wait()
        return summary
    finally:
        await supervisor.stop()


async def _demonstrate(demo: DemoSettings, console: Console, supervisor: Supervisor) -> Summary:
    async with places(demo) as to:
        run = Demonstration(demo, to, supervisor)
        show_address(console, run.console_url)
        with run_display(console, sum(len(plan.files) for plan in demo.plans)) as display:
            return await run.run(display.follow)


def _prepare_topics(endpoints: Endpoints, settings: Settings) -> None:
    specs = (
        *platform_topics(Catalog.load(), settings.partitions),
        *team_app.topic_specs(settings.partitions),
    )
    apply(endpoints.kafka_bootstrap, plan_topics(endpoints.kafka_bootstrap, specs))
