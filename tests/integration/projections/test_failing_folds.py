"""A fold that raises far into a history stops there, and goes on once it is corrected."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from connectors import history_pages
from connectors.projector import ProjectorState
from schemas.event import Event
from streams.partitioner import partition_of
from streams.projection import State
from tests.integration.projections.stored import (
    PARTITIONS,
    PER_PROJECT,
    POISON,
    Store,
    files,
    folded,
)
from tests.integration.projections.working import eventually, live_of, projector, running

pytestmark = pytest.mark.postgres

EVENTS, FAILING = 2_000, 1_700


def places_of(events: list[Event[Any]]) -> list[tuple[int, int]]:
    """Partition and offset of each event."""
    ends = dict.fromkeys(range(PARTITIONS), 0)
    places = []
    for event in events:
        partition = partition_of(event.key.encode(), PARTITIONS)
        places.append((partition, ends[partition]))
        ends[partition] += 1
    return places


def without_the_failing(state: State, event: Event[Any]) -> State:
    """The fold, corrected."""
    return state if event.data.lines == POISON else PER_PROJECT.fold(state, event)


async def test_a_fold_that_raises_many_pages_in_holds_exactly_what_stands_before_its_checkpoint(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_pages, "FIRST_OFFSETS", 50)
    monkeypatch.setattr(history_pages, "PAGE_BYTES", 10_000)
    events = files(EVENTS)
    events[FAILING] = files(1, first=POISON)[0]
    places = places_of(events)
    await store.put(events)
    failing = projector(store, PER_PROJECT)
    async with running(failing):
        await eventually(lambda: failing.status.state is ProjectorState.STOPPED)
    live = await live_of(store, PER_PROJECT)
    assert live.failure is not None
    failure = live.failure
    assert failure["event_id"] == events[FAILING].id
    assert (failure["partition"], failure["offset"]) == places[FAILING]
    reached = await store.edges.store.checkpoints(live.version_id)
    assert reached[places[FAILING][0]] == places[FAILING][1]
    before = [
        event
        for event, (partition, offset) in zip(events, places, strict=True)
        if offset < reached[partition]
    ]
    assert FAILING / 2 < len(before) < EVENTS
    assert await store.rows_of(live.version_id) == folded(PER_PROJECT, before)

    corrected = replace(PER_PROJECT, fold=without_the_failing)
    going_on = projector(store, corrected)
    async with running(going_on):
        await eventually(lambda: going_on.status.events == EVENTS - len(before))
    assert await store.rows_of(live.version_id) == folded(corrected, events)
