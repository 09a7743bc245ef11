"""What a process tells others of its breakers."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.event import Event
from schemas.events.system import SystemBreakerOpened
from streams.breaker import BreakerState
from streams.breaker_events import BreakerEvents, ProcessId
from streams.records import OutgoingRecord
from tests.unit.streams.bench import Bench

OPEN, CLOSED, HALF_OPEN = BreakerState.OPEN, BreakerState.CLOSED, BreakerState.HALF_OPEN
PROCESS = ProcessId(app="shop", host="here", pid=7)


def events_of(bench: Bench, times: list[float]) -> BreakerEvents:
    return BreakerEvents(PROCESS, bench.publisher(), bench.factory, lambda: times.pop(0))


def told(bench: Bench) -> list[Event[Any]]:
    return [bench.codec.view(it.value or b"") for it in bench.log.topic("events.system.high")]


async def test_an_outage_is_told_once_when_it_begins_and_once_when_it_is_over(
    bench: Bench,
) -> None:
    events = events_of(bench, [100.0, 130.5])
    events.start()
    for state, reason in (
        (OPEN, "refused"),
        (HALF_OPEN, "a look"),
        (OPEN, "still refused"),
        (HALF_OPEN, "a look"),
        (CLOSED, "a try has succeeded"),
    ):
        events.changed("mailer", state, reason)
    await events.close()
    opened, closed = sorted(told(bench), key=lambda event: event.type, reverse=True)
    assert (opened.type, closed.type) == ("system.breaker.opened", "system.breaker.closed")
    assert opened.data == SystemBreakerOpened(
        app="shop", breaker="mailer", reason="refused", host="here", pid=7
    )
    assert closed.data.open_for_ms == 30_500


async def test_a_breaker_that_was_never_open_tells_nothing(bench: Bench) -> None:
    events = events_of(bench, [])
    events.start()
    events.changed("mailer", CLOSED, "ordered")
    await events.close()
    assert told(bench) == []


async def test_what_cannot_be_told_holds_up_nobody(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(record: OutgoingRecord) -> None:
        raise RuntimeError("no")

    events = events_of(bench, [1.0, 2.0])
    events.start()
    with monkeypatch.context() as patched:
        patched.setattr(bench.log, "append", refuse)
        events.changed("mailer", OPEN, "refused")
        await events._unsent.join()
    events.changed("mailer", CLOSED, "back")
    await events.close()
    assert [event.type for event in told(bench)] == ["system.breaker.closed"]
