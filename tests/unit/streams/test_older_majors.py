"""Handlers, tables and queries see events of every major as the newest one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.event import Event
from schemas.headers import event_headers
from streams.app import App
from streams.bus.memory import MemoryBus
from streams.context import Context
from streams.memory.log import MemoryLog
from streams.memory.worker import MemoryWorker
from streams.projection import State
from streams.records import OutgoingRecord
from tests.unit.schemas.order_majors import (
    PLACED,
    VERSIONS,
    newest,
    order_majors,
    placed,
    to_currency,
    turnover,
)


def log_of(catalog: Catalog) -> tuple[MemoryLog, list[Event[Any]]]:
    """Orders in all versions by turns, as their producers have written them."""
    log, codec = MemoryLog(), Codec(catalog)
    events = [placed(catalog, number, VERSIONS[number % 4]) for number in range(40)]
    for event in events:
        value, headers = codec.encode(event), event_headers(event)
        log.append(OutgoingRecord(event.topic, event.key.encode(), value, headers))
    return log, events


async def test_a_handler_and_a_table_get_events_of_every_major_as_the_newest() -> None:
    catalog, app, seen = order_majors(), App("team"), dict[str, Event[Any]]()

    @app.on(PLACED)
    async def note(event: Event[Any], context: Context) -> None:
        seen[event.id] = event

    app.projection("turnover", on=(PLACED,), initial=dict)(turnover)
    log, events = log_of(catalog)
    worker = MemoryWorker(app, log, catalog)
    await worker.run_until_idle()
    expected = [newest(catalog, event) for event in events]
    assert seen == {event.id: event for event in expected}
    sums: dict[str, State] = {}
    for event in expected:
        sums[event.key] = turnover(sums.get(event.key, {}), event)
    assert worker.table("turnover") == sums


async def test_queries_give_events_of_every_major_as_the_newest() -> None:
    catalog = order_majors()
    log, events = log_of(catalog)
    found = await MemoryBus("team", log, catalog).get_events("o5")
    assert found == [newest(catalog, event) for event in events[5::7]]


async def test_an_event_that_an_upcast_cannot_read_waits_with_what_stands_behind_it() -> None:
    def refuses(data: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"nothing": data["absent"]}

    catalog = order_majors({(PLACED, 1): refuses, (PLACED, 2): to_currency})
    app, seen = App("team"), list[str]()

    @app.on(PLACED)
    async def note(event: Event[Any], context: Context) -> None:
        seen.append(f"{event.id} {event.data['currency']}")

    log, events = log_of(catalog)
    await MemoryWorker(app, log, catalog).run_until_idle()
    behind, expected = set[str](), list[str]()
    for event in events:
        if event.version.startswith("1."):
            behind.add(event.key)
        elif event.key not in behind:
            expected.append(f"{event.id} EUR")
    assert expected
    assert sorted(seen) == sorted(expected)
    waiting = {it.key for topic in ("retry.team", "dlq.team") for it in log.topic(topic)}
    assert len(waiting) == len(events) - len(expected)
