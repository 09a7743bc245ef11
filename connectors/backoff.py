"""Waits for what is away, longer each time up to a bound, and ends at once when asked to stop."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

import structlog

from streams.errors import InfrastructureError

_log = structlog.get_logger(__name__)

Result = TypeVar("Result")


def delays(first_s: float, longest_s: float) -> Iterator[float]:
    """Seconds to wait before each further try: doubled each time, never above the longest."""
    delay = first_s
    while True:
        yield delay
        delay = min(delay * 2, longest_s)


async def until_available(
    attempt: Callable[[], Awaitable[Result]],
    *,
    schedule: Iterator[float],
    stop: asyncio.Event,
    waiting: Callable[[str | None], None],
) -> Result | None:
    """The attempt's result, tried again while infrastructure is away; None when stopped by then.

    `waiting` hears the error code of each failure, and None when the attempt succeeds.
    Every other error is raised.
    """
    while True:
        try:
            result = await attempt()
        except InfrastructureError as error:
            waiting(error.code)
            if stop.is_set():
                return None
            delay = next(schedule)
            _log.warning("waiting", code=error.code, reason=error.message, seconds=delay)
            await pause(delay, stop)
        else:
            waiting(None)
            return result


async def pause(seconds: float, stop: asyncio.Event) -> None:
    """Return after `seconds`, or as soon as `stop` is set."""
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return
