"""What a process tells others of its breakers: `system.breaker.opened` and `.closed`."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from schemas.event import EventData, EventFactory
from schemas.events.system import SystemBreakerClosed, SystemBreakerOpened
from streams.breaker import BreakerState
from streams.publisher import EventPublisher

FAREWELL_S: Final = 2.0
"""How long what was not published yet may take when the process ends."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessId:
    """Which process speaks."""

    app: str
    host: str
    pid: int


class BreakerEvents:
    """Implements BreakerListener: a line in the log for each change, an event for some.

    A breaker that looks at its dependency and opens again was never closed: no event says so.
    """

    def __init__(
        self,
        process: ProcessId,
        publisher: EventPublisher,
        factory: EventFactory,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock`: in seconds, never set back."""
        self._process = process
        self._publisher = publisher
        self._factory = factory
        self._clock = clock
        self._opened: dict[str, float] = {}
        self._unsent: asyncio.Queue[EventData] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    def changed(self, name: str, state: BreakerState, reason: str) -> None:
        """See BreakerListener."""
        log.warning("breaker changed", breaker=name, state=state.value, reason=reason)
        process = self._process
        if state is BreakerState.OPEN and name not in self._opened:
            self._opened[name] = self._clock()
            self._unsent.put_nowait(
                SystemBreakerOpened(
                    app=process.app, breaker=name, reason=reason, host=process.host, pid=process.pid
                )
            )
        elif state is BreakerState.CLOSED and name in self._opened:
            open_for_ms = int(1_000 * (self._clock() - self._opened.pop(name)))
            self._unsent.put_nowait(
                SystemBreakerClosed(
                    app=process.app,
                    breaker=name,
                    reason=reason,
                    host=process.host,
                    pid=process.pid,
                    open_for_ms=open_for_ms,
                )
            )

    def start(self) -> None:
        """Publish in the background what changes, in order."""
        self._task = asyncio.create_task(self._publish(), name="breaker events")

    async def close(self) -> None:
        """Publish what is left, for a bounded time."""
        if self._task is None:
            return
        try:
            async with asyncio.timeout(FAREWELL_S):
                await self._unsent.join()
        except TimeoutError:
            log.warning("changes of breakers not published", events=self._unsent.qsize())
        self._task.cancel()
        await asyncio.wait({self._task})

    async def _publish(self) -> None:
        while True:
            data = await self._unsent.get()
            try:
                receipt = await self._publisher.publish(self._factory.create(data))
                await receipt
            except Exception as error:  # noqa: BLE001  # the work itself must go on
                log.warning("a change of a breaker was not published", error=str(error))
            finally:
                self._unsent.task_done()
