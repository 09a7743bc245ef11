"""The watchdogs of one worker: partitions that stand still, and an event loop that is blocked."""

import asyncio
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

import structlog

from schemas.event import system_clock
from streams.kafka.fetcher import KafkaFetcher
from streams.runtime.errors import WorkerFailed, WorkerStalled
from streams.runtime.health import Run
from streams.runtime.inspection import WorkInHand
from streams.runtime.loop_watch import BLOCKED_AFTER_S, LoopWatch
from streams.runtime.stall_watch import NamedStall, StallWatch, WatchedRun, dump_threads
from streams.settings import KafkaSettings

DUMP_EVERY_S: Final = 60.0
"""How often a loop that stays blocked is told again."""

END_S: Final = 25.0
"""How long a worker that is to be started again may take to end: longer than to drain and leave."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchSettings:
    """When something counts as standing still, and whether the process then ends."""

    kafka: KafkaSettings
    stall_after_s: float
    restart_when_stalled: bool


class Watch:
    """Both watchdogs, for as long as the block lasts."""

    def __init__(
        self,
        runs: Sequence[Run],
        settings: WatchSettings,
        end_process: Callable[[int], None] = os._exit,
    ) -> None:
        """`end_process` ends it at once with an exit code: where nothing else can."""
        self._settings = settings
        self._end_process = end_process
        watched = [
            WatchedRun(
                name=run.name,
                member=run.member,
                lanes=run.lanes,
                time_limits=run.time_limits,
                ends=run.ends,
            )
            for run in runs
        ]
        self.stall_watch = StallWatch(
            watched,
            lambda: KafkaFetcher(settings.kafka),
            settings.stall_after_s,
            system_clock,
        )
        self._loop = LoopWatch(
            self._blocked, blocked_after_s=min(BLOCKED_AFTER_S, settings.stall_after_s)
        )
        self._told_at_s: float | None = None
        self._looking: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Begin to watch."""
        self._looking = asyncio.create_task(self.stall_watch.run(), name="stall watch")
        self._loop.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Watch no longer."""
        self._loop.close()
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait({self._looking})

    @property
    def stalls(self) -> Sequence[NamedStall]:
        """The partitions that stand still for longer than their handlers may take."""
        return self.stall_watch.stalls

    def raise_failure(self) -> None:
        """Raise WorkerStalled when the worker is to end, WorkerFailed when the watch has ended."""
        if self._looking is not None and self._looking.done():
            error = self._looking.exception()
            raise WorkerFailed(f"nobody watches for stalls any more: {error!r}") from error
        if self.stalls and self._settings.restart_when_stalled:
            # A handler that catches its cancellation would keep the process for ever.
            last_resort = threading.Timer(END_S, self._end_process, [WorkerStalled.exit_code])
            last_resort.daemon = True
            last_resort.start()
            raise WorkerStalled(self.stalls[0].sentence())

    def _blocked(self, silent_s: float, work: WorkInHand) -> None:
        """Runs in the thread of the watch."""
        told_at_s = self._told_at_s
        if told_at_s is None or not told_at_s < silent_s < told_at_s + DUMP_EVERY_S:
            self._told_at_s = silent_s
            log.error(
                "the event loop is blocked",
                handler=work.handler,
                event_id=work.event_id,
                offset=work.offset,
                for_s=silent_s,
            )
            dump_threads()
        if self._settings.restart_when_stalled and silent_s >= self._settings.stall_after_s:
            log.error("the worker ends to be started again", exit_code=WorkerStalled.exit_code)
            self._end_process(WorkerStalled.exit_code)
