"""A sink process that kills itself at a named step, as a power cut would, or stops there.

Arguments: a JSON object with bootstrap, name, dsn, `step` with `hit` (or null: run on), and perhaps
the name of another `signal`.
"""

import asyncio
import json
import os
import signal
import sys
from collections import Counter
from dataclasses import replace

from connectors.postgres.migrations import migrate
from connectors.sink_service import store_sink
from connectors.sink_status import SinkStep
from tests.integration.connectors.conftest import Archive


async def main() -> None:
    asked = json.loads(sys.argv[1])
    plan = Archive(bootstrap=asked["bootstrap"], name=asked["name"]).plan(asked["dsn"])
    plan = replace(plan, sink=replace(plan.sink, batch_records=10))
    await migrate(plan.postgres)
    hits: Counter[SinkStep] = Counter()

    def crash_at(step: SinkStep) -> None:
        hits[step] += 1
        if asked["step"] == step and hits[step] == asked["hit"]:
            os.kill(os.getpid(), signal.Signals[asked.get("signal", "SIGKILL")])

    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with store_sink(plan, crash_at) as sink:
        await sink.run(stop)


asyncio.run(main())
