"""What a bus tells of the past, in process and on Kafka alike."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from schemas.event import Event
from streams.bus.log_bus import LogBus
from tests.contracts.rigs import unique

OpenBus = Callable[..., Awaitable[LogBus]]
MakeEvent = Callable[..., Event[Any]]


async def test_history_is_found_by_aggregate_and_by_correlation(
    open_bus: OpenBus, synced: MakeEvent, correlation_id: str
) -> None:
    bus, repository = await open_bus(unique("app")), unique("r")
    events = [synced(repository, files=n) for n in range(3)]
    other = synced(unique("r"))
    for receipt in await bus.publish_batch([*events, other]):
        await receipt
    ids = [event.id for event in events]
    assert [event.id for event in await bus.get_events(repository)] == ids
    assert await bus.get_events(repository, aggregate_type="Analysis") == []
    found = await bus.get_events_by_correlation(correlation_id)
    assert {event.id for event in found} == {*ids, other.id}
