"""Running a process until somebody asks it to end."""

import asyncio
import signal
from collections.abc import Awaitable, Callable

import uvloop


def run_until_signalled(run: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    """Run until it ends by itself, or until SIGTERM or Ctrl-C sets its event: then it drains."""

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        await run(stop)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
