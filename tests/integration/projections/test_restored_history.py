"""A restore says which projections had passed what was missing, and a rebuild mends them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import pytest

from connectors.event_row import event_row
from connectors.postgres.restore_target import PostgresRestoreTarget
from connectors.postgres.sink_target import PostgresSinkTarget
from connectors.projection_rebuild import Rebuild
from connectors.sink_reading import SinkReading
from connectors.sink_target import Batch, PlacedRow, Position
from connectors.store_restore import RestoreEdges, RestoreReport, StoreRestore
from connectors.version_fold import VersionFold
from schemas.event import Event
from schemas.topics import STORE_EVENTS
from streams.memory.fetcher import MemoryFetcher
from streams.memory.log import MemoryLog
from streams.reading import EventReading
from streams.records import OutgoingRecord, TopicPartition
from tests.integration.projections.stored import (
    CODEC,
    PER_FILE,
    PER_PROJECT,
    SCHEMAS,
    TOPIC_ID,
    Store,
    files,
    folded,
)
from tests.integration.projections.working import known_of, live_of

pytestmark = pytest.mark.postgres

SOURCE = TopicPartition(STORE_EVENTS, 0)


def topic(events: Sequence[Event[Any]]) -> MemoryLog:
    """All events in one partition."""
    log = MemoryLog(1)
    for event in events:
        log.append(
            OutgoingRecord(topic=STORE_EVENTS, key=event.id.encode(), value=CODEC.encode(event))
        )
    return log


async def sink(store: Store, events: Sequence[Event[Any]], missing: Collection[int]) -> None:
    """Store the events at their places but for these, as if the table had lost them."""
    target = PostgresSinkTarget(store.database)
    claims = await target.claim(TOPIC_ID, [0])
    rows = [
        PlacedRow(Position(0, offset), event_row(CODEC.view(framed), framed, with_json=False))
        for offset, framed in enumerate(CODEC.encode(event) for event in events)
        if offset not in missing
    ]
    await target.store(TOPIC_ID, Batch(rows=rows, claims=claims, next={0: len(events)}))


async def restore(store: Store, log: MemoryLog) -> RestoreReport:
    reading = EventReading(CODEC, SCHEMAS, wants=lambda _type: True)
    edges = RestoreEdges(
        fetchers=lambda: MemoryFetcher(log),
        target=PostgresRestoreTarget(store.database),
        reading=SinkReading(reading, with_json=False),
    )
    return await StoreRestore(edges, topic_id=TOPIC_ID, sources=[SOURCE], batch_records=4).run()


async def fold_all(store: Store) -> None:
    rows = store.edges.store
    await rows.register("team", "team.app", PER_FILE)
    claim = await rows.claim((await live_of(store, PER_FILE)).version_id, "one")
    assert claim is not None
    await VersionFold(PER_FILE, store.edges, claim).up_to(await store.edges.history.ends())


async def test_a_projection_that_had_passed_what_was_missing_is_named_and_mended_by_a_rebuild(
    store: Store,
) -> None:
    events = files(20)
    await sink(store, events, missing={3, 4, 5})
    await fold_all(store)
    # Nothing is folded into this one yet: it will meet what is restored.
    await store.edges.store.register("team", "team.app", PER_PROJECT)
    report = await restore(store, topic(events))
    assert report.as_mapping() == {
        "stored": 3,
        "known": 17,
        "refused": 0,
        "to_rebuild": ["team/per-file"],
    }
    await Rebuild(await known_of(store, PER_FILE), PER_FILE, store.edges, "rebuild").run()
    live = await live_of(store, PER_FILE)
    assert await store.rows_of(live.version_id) == folded(PER_FILE, events)


async def test_a_restore_behind_what_is_folded_asks_for_no_rebuild(store: Store) -> None:
    events = files(20)
    await sink(store, events[:10], missing=())
    await fold_all(store)
    report = await restore(store, topic(events))
    assert (report.stored, report.known, report.to_rebuild) == (10, 10, set())
