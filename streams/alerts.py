"""Alerts: somebody is told when events keep failing, once for many failures of one kind.

Telling never waits and never fails for the worker: what is to be said goes through a bounded queue,
and each hook bounds its own time.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Final, Protocol

import structlog

from schemas.codec import Codec
from schemas.errors import SchemaError
from schemas.event import EventFactory, system_clock
from schemas.events.system import SystemAlertRaised
from streams.alert import Alert, AlertLimits, is_alarming
from streams.parking.letter import Letter
from streams.publisher import EventPublisher

QUEUED: Final = 1_000
"""Alerts that may wait for slow hooks."""

CLOSE_S: Final = 5.0
"""How long closing waits for hooks."""

PUBLISH_S: Final = 30.0
"""How long an alert waits for a broker to take its event."""

log = structlog.get_logger(__name__)


class AlertHook(Protocol):
    """Tells somebody. What it raises is logged."""

    async def tell(self, alert: Alert) -> None:
        """Tell, within a bounded time."""
        ...

    async def close(self) -> None:
        """Let go of what telling needs."""
        ...


class AlertEvents:
    """Implements AlertHook: publishes `system.alert.raised`, never about a failure with that."""

    def __init__(self, publisher: EventPublisher, factory: EventFactory) -> None:
        self._publisher = publisher
        self._factory = factory

    async def tell(self, alert: Alert) -> None:
        """See AlertHook. Raises TimeoutError while no broker takes it."""
        if alert.event_type == SystemAlertRaised.event_type:
            return
        event = self._factory.create(
            SystemAlertRaised(
                app=alert.app,
                subscription=alert.group,
                handler=alert.handler,
                reason=alert.reason,
                state=alert.state.value,
                count=alert.count,
                tries=alert.tries,
                event_id=alert.event_id,
                failed_type=alert.event_type,
                letter_id=alert.letter_id,
            ),
            correlation_id=alert.correlation_id,
            causation_id=alert.event_id,
        )
        async with asyncio.timeout(PUBLISH_S):
            await (await self._publisher.publish(event))

    async def close(self) -> None:
        """See AlertHook: the publisher is another's."""


class Alerts:
    """Implements ParkingListener: raises alerts, by a line in the log and by hooks."""

    def __init__(
        self,
        hooks: Sequence[AlertHook],
        codec: Codec,
        clock: Callable[[], datetime],
        limits: AlertLimits | None = None,
    ) -> None:
        self._hooks = tuple(hooks)
        self._codec = codec
        self._clock = clock
        self._limits = limits or AlertLimits()
        self._queue: asyncio.Queue[Alert] = asyncio.Queue(QUEUED)
        self._task: asyncio.Task[None] | None = None
        self._counted = asyncio.Event()

    def start(self) -> None:
        """Begin to tell."""
        self._task = asyncio.create_task(self._run(), name="alerts")

    async def close(self) -> None:
        """Tell what was raised, for a bounded time, then let go of the hooks.

        What was only counted so far goes to the log alone: a process that ends waits for nobody.
        """
        for alert in self._limits.rest():
            _log(alert)
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await self._queue.join()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        for hook in self._hooks:
            await hook.close()

    def failed(self, letter: Letter) -> None:
        """See ParkingListener."""
        if not is_alarming(letter):
            return
        alert = self._limits.take(self._alert(letter))
        if alert is None:
            self._counted.set()
        else:
            self._offer(alert)

    def behind(self, letter: Letter) -> None:
        """See ParkingListener: it has not failed."""

    def done(self, letter: Letter) -> None:
        """See ParkingListener: no reason to wake anybody."""

    def dropped(self, letter: Letter) -> None:
        """See ParkingListener: somebody knows already."""

    def _alert(self, letter: Letter) -> Alert:
        return Alert(
            app=letter.app,
            group=letter.group,
            handler=letter.handler,
            reason=letter.reason,
            state=letter.state,
            count=1,
            tries=letter.tries,
            letter_id=letter.id,
            event_id=letter.event_id,
            event_type=letter.event_type,
            correlation_id=self._correlation_of(letter),
            at=self._clock(),
        )

    def _correlation_of(self, letter: Letter) -> str | None:
        with suppress(SchemaError):
            return self._codec.view(letter.record.value or b"").correlation_id
        return None

    def _offer(self, alert: Alert) -> None:
        _log(alert)
        try:
            self._queue.put_nowait(alert)
        except asyncio.QueueFull:
            log.warning("hooks of alerts are too slow: one is left out", letter=alert.letter_id)

    async def _run(self) -> None:
        while True:
            due = self._limits.next_due()
            wait_s = None if due is None else (due - self._clock()).total_seconds()
            alert = await self._next(wait_s)
            for counted in self._limits.due(self._clock()):
                self._offer(counted)
            if alert is not None:
                await self._tell(alert)
                self._queue.task_done()

    async def _next(self, wait_s: float | None) -> Alert | None:
        """The next alert; None when counts have begun to wait, or are due."""
        getting = asyncio.create_task(self._queue.get())
        counting = asyncio.create_task(self._counted.wait())
        try:
            await asyncio.wait(
                {getting, counting},
                timeout=None if wait_s is None else max(0.0, wait_s),
                return_when=asyncio.FIRST_COMPLETED,
            )
            self._counted.clear()
            return getting.result() if getting.done() else None
        finally:
            getting.cancel()
            counting.cancel()

    async def _tell(self, alert: Alert) -> None:
        for hook in self._hooks:
            try:
                await hook.tell(alert)
            except Exception as error:  # noqa: BLE001  # no hook keeps another one from telling
                log.warning(
                    "an alert was not told",
                    hook=type(hook).__name__,
                    letter=alert.letter_id,
                    error=f"{type(error).__name__}: {error}",
                )


def _log(alert: Alert) -> None:
    log.error(
        "events fail",
        app=alert.app,
        subscription=alert.group,
        handler=alert.handler,
        reason=alert.reason,
        state=alert.state.value,
        count=alert.count,
        tries=alert.tries,
        event_id=alert.event_id,
        event_type=alert.event_type,
        letter=alert.letter_id,
    )


@asynccontextmanager
async def raised_alerts(
    publisher: EventPublisher, factory: EventFactory, codec: Codec, hooks: Sequence[AlertHook] = ()
) -> AsyncIterator[Alerts]:
    """The listener of an app's parking lots: tells the log, the hooks, and everybody by an event.

    What was raised is told before the end of the block, for a bounded time.
    """
    alerts = Alerts([*hooks, AlertEvents(publisher, factory)], codec, system_clock)
    alerts.start()
    try:
        yield alerts
    finally:
        await alerts.close()
