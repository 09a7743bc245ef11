"""A thread that watches whether the event loop gets on: nothing inside a blocked loop can tell.

A handler that computes for ever, or waits without `await`, holds up every lane, every page and the
heartbeats of its process.
"""

import asyncio
import faulthandler
import sys
import threading
from collections.abc import Callable
from typing import Final

import structlog

from streams.runtime.inspection import WorkInHand, stack_of_thread, work_in

TICK_S: Final = 1.0
"""How often the thread looks."""

BLOCKED_AFTER_S: Final = 10.0
"""How long the loop may be silent before it is told."""

BESIDE_THREADS_S: Final = 15.0
"""How much later it is told by a timer that needs no interpreter: code in C may hold that."""

OnBlocked = Callable[[float, WorkInHand], None]
"""Told, in the thread, for how many seconds the loop was silent and what it has in hand."""

log = structlog.get_logger(__name__)


class LoopWatch:
    """Counts the looks in which the loop has not moved; a process that was frozen counts none."""

    def __init__(
        self,
        on_blocked: OnBlocked,
        blocked_after_s: float = BLOCKED_AFTER_S,
        tick_s: float = TICK_S,
    ) -> None:
        """`on_blocked` is called again with each further look."""
        self._on_blocked = on_blocked
        self._blocked_after_s = blocked_after_s
        self._tick_s = tick_s
        self._beats = 0
        self._beating: asyncio.TimerHandle | None = None
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Watch the running loop, which must be that of this thread."""
        self._beat(asyncio.get_running_loop())
        self._thread = threading.Thread(
            target=self._watch, args=(threading.get_ident(),), name="loop watch", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Watch no longer."""
        self._ended.set()
        if self._beating is not None:
            self._beating.cancel()
        if self._thread is not None:
            self._thread.join()
        faulthandler.cancel_dump_traceback_later()

    def _beat(self, loop: asyncio.AbstractEventLoop) -> None:
        self._beats += 1
        self._beating = loop.call_later(self._tick_s / 2, self._beat, loop)

    def _watch(self, loop_thread: int) -> None:
        beats, silent = self._beats, 0
        while not self._ended.wait(self._tick_s):
            if sys.__stderr__ is not None:
                faulthandler.dump_traceback_later(
                    self._blocked_after_s + BESIDE_THREADS_S, file=sys.__stderr__
                )
            silent = silent + 1 if beats == self._beats else 0
            beats = self._beats
            if silent * self._tick_s >= self._blocked_after_s:
                self._on_blocked(silent * self._tick_s, work_in(stack_of_thread(loop_thread)))
