"""Work of a team's code with a time limit that costs nothing when it need not wait.

Most handlers never wait: they are run to their end in one step. Only what is suspended gets a
timer.
"""

import asyncio
from collections.abc import Awaitable, Coroutine, Generator
from types import coroutine
from typing import Any, Final

from streams.errors import HandlerTimedOut


class Suspended:
    """A coroutine that waits for something."""

    __slots__ = ("_first", "_work")

    def __init__(self, work: Coroutine[Any, Any, None], first: Any) -> None:
        self._work = work
        self._first = first

    def rest(self) -> Awaitable[None]:
        """What is left of it, without a limit."""
        return _continued(self._work, self._first)

    async def finish(self, deadline_s: float) -> None:
        """Run it to its end. Cancels it and raises HandlerTimedOut when the time is over."""
        limit = asyncio.timeout(deadline_s)
        try:
            async with limit:
                await _continued(self._work, self._first)
        except TimeoutError as error:
            if limit.expired():
                raise HandlerTimedOut(f"it took more than {deadline_s:g} s") from error
            raise
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            # The work has caught a cancellation that was meant for us.
            raise asyncio.CancelledError


def run(work: Awaitable[None]) -> Suspended | None:
    """Begin in the current task; None when it has come to its end without waiting.

    Raises what the work raises.
    """
    if not isinstance(work, Coroutine):
        work = _awaited(work)
    try:
        first = work.send(None)
    except StopIteration:
        return None
    return Suspended(work, first)


async def complete(work: Awaitable[None], deadline_s: float) -> None:
    """Run it to its end, in one step or under the deadline. Raises as `run` and `finish`."""
    suspended = run(work)
    if suspended is not None:
        await suspended.finish(deadline_s)


async def _awaited(work: Awaitable[None]) -> None:
    await work


@coroutine
def _continued(work: Coroutine[Any, Any, None], waits_for: Any) -> Generator[Any, Any, None]:
    """Pass on what the work waits for, and what the event loop answers."""
    while True:
        error: BaseException | None = None
        answer = None
        try:
            answer = yield waits_for
        except BaseException as raised:  # noqa: BLE001  # it belongs to the work, which may catch it
            error = raised
        try:
            waits_for = work.send(answer) if error is None else work.throw(error)
        except StopIteration:
            return


CONTINUED: Final = _continued.__code__
"""Whose frame, while it waits, has the suspended work in `work`: for those who look into tasks."""
