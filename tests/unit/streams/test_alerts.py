"""Alerts reach the hooks beside the work: slow or failing hooks hold nobody up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from structlog.testing import capture_logs

from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.event import Event, EventFactory
from schemas.events.system import SystemAlertRaised
from streams.alert import Alert, AlertLimits
from streams.alerts import QUEUED, AlertHook, Alerts, raised_alerts
from streams.memory.log import MemoryLog, MemorySender
from streams.memory.schemas import MemoryWriterSchemas
from streams.parking.letter import Letter, LetterState
from streams.publisher import EventPublisher
from tests.unit.streams.failed_letters import letter, record

CATALOG = Catalog.load()
CODEC = Codec(CATALOG)
FACTORY = EventFactory(CATALOG, "team")
WAIT_S = 5.0


class Told:
    """A hook that notes what it is told, and fails when it is to."""

    def __init__(self, *, fails: bool = False) -> None:
        self.alerts: list[Alert] = []
        self.is_closed = False
        self._fails = fails

    async def tell(self, alert: Alert) -> None:
        self.alerts.append(alert)
        if self._fails:
            raise OSError("nobody answers")

    async def close(self) -> None:
        self.is_closed = True


class Stuck(Told):
    """A hook that never returns."""

    async def tell(self, alert: Alert) -> None:
        await asyncio.Event().wait()


@asynccontextmanager
async def running(*hooks: AlertHook, limits: AlertLimits | None = None) -> AsyncIterator[Alerts]:
    alerts = Alerts(hooks, CODEC, lambda: datetime.now(UTC), limits)
    alerts.start()
    try:
        yield alerts
    finally:
        await alerts.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not condition():  # noqa: ASYNC110  # what is waited for runs beside the test
            await asyncio.sleep(0)


async def test_a_parked_event_is_told_with_what_is_known_of_it() -> None:
    told = Told()
    event = FACTORY.create_from_mapping(
        "system.worker.started", {"process": "p", "host": "h", "pid": 1}, correlation_id="run-1"
    )
    failed = letter(1, record=record(1, value=CODEC.encode(event)))
    async with running(told) as alerts:
        alerts.failed(letter(2, LetterState.WAITING))
        alerts.failed(failed)
        await until(lambda: bool(told.alerts))
    (alert,) = told.alerts
    assert (alert.letter_id, alert.event_id, alert.count) == (failed.id, "event-1", 1)
    assert alert.correlation_id == "run-1"
    assert told.is_closed


async def test_a_hook_that_fails_keeps_no_other_one_from_telling() -> None:
    failing, told = Told(fails=True), Told()
    async with running(failing, told) as alerts:
        alerts.failed(letter(1))
        alerts.failed(letter(2, handler="count"))
        await until(lambda: len(told.alerts) == 2)
    assert len(failing.alerts) == 2


async def test_what_is_counted_is_told_when_the_interval_is_over_without_another_failure() -> None:
    told = Told()
    async with running(told, limits=AlertLimits(timedelta(seconds=0.05))) as alerts:
        for offset in range(10):
            alerts.failed(letter(offset))
        await until(lambda: sum(alert.count for alert in told.alerts) == 10)
    assert [alert.count for alert in told.alerts] == [1, 9]


async def test_what_was_counted_only_is_in_the_log_when_the_worker_ends() -> None:
    told = Told()
    with capture_logs() as logs:
        async with running(told) as alerts:
            for offset in range(10):
                alerts.failed(letter(offset))
    assert [alert.count for alert in told.alerts] == [1]
    assert [line["count"] for line in logs if line["event"] == "events fail"] == [1, 9]


async def test_a_hook_that_hangs_holds_up_neither_the_work_nor_the_end(
    monkeypatch: Any,
) -> None:
    monkeypatch.setattr("streams.alerts.CLOSE_S", 0.05)
    stuck = Stuck()
    async with running(stuck) as alerts:
        for number in range(QUEUED + 10):
            alerts.failed(letter(number, handler=f"handler-{number}"))
    assert stuck.is_closed


class Published:
    """An app's publisher on a log in process, and what was published."""

    def __init__(self) -> None:
        self.log = MemoryLog()
        schemas = MemoryWriterSchemas(self.log, CODEC)
        self.publisher = EventPublisher(CATALOG, CODEC, MemorySender(self.log), schemas)

    def events(self) -> list[Event[Any]]:
        records = self.log.topic("events.system.high")
        return [CODEC.view(record.value or b"") for record in records]


async def raised_for(*failed: Letter) -> list[Event[Any]]:
    published = Published()
    async with raised_alerts(published.publisher, FACTORY, CODEC) as alerts:
        for one in failed:
            alerts.failed(one)
    return published.events()


async def test_an_alert_is_published_as_an_event_caused_by_the_one_that_failed() -> None:
    failed = letter(1)
    (event,) = await raised_for(failed)
    assert event.causation_id == "event-1"
    assert event.data == SystemAlertRaised(
        app="team",
        subscription="team.main",
        handler="notify",
        reason="ValueError",
        state="parked",
        count=1,
        tries=3,
        event_id="event-1",
        failed_type="order.placed",
        letter_id=failed.id,
    )


async def test_a_failure_with_an_alert_brings_about_no_other_event() -> None:
    alarming = letter(1, record=record(1, event_type="system.alert.raised"))
    assert await raised_for(alarming) == []
