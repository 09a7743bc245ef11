"""Waits for other processes, for a bounded time."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from schemas.errors import WundrError


class ProcessNotReady(WundrError):
    """A process of the demonstration does not answer."""

    code = "examples.process_not_ready"
    retryable = True
    remedy = "Look at its log in .wundr/runs."


async def until(
    condition: Callable[[], Awaitable[bool]], *, within_s: float, every_s: float, what: str
) -> None:
    """Return once the condition holds. Raises ProcessNotReady with `what` after `within_s`.

    A condition that raises ProcessNotReady does not hold yet; at the deadline it is the cause.
    """
    deadline = time.monotonic() + within_s
    while True:
        reason: ProcessNotReady | None = None
        try:
            if await condition():
                return
        except ProcessNotReady as error:
            reason = error
        if time.monotonic() > deadline:
            raise ProcessNotReady(f"{what} within {within_s:.0f} seconds") from reason
        await asyncio.sleep(every_s)
