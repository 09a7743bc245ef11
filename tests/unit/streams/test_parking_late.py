"""What is done late is done all the same: by who reads it further on, and in tables made anew."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import pytest

from schemas.event import Event
from schemas.events.domain import AnalysisStarted, NotificationSent
from schemas.topics import STORE_EVENTS
from streams.app import App
from streams.attempts import Attempts
from streams.context import Context
from streams.memory.log import MemorySender
from streams.memory.schemas import MemoryWriterSchemas
from streams.parking.loading import held_back
from streams.parking.lot import LotEdges, ParkingLot
from streams.parking.orders import OrderKind
from streams.platform.processor import (
    ARCHIVE,
    PLATFORM_APP,
    PLATFORM_GROUP,
    PlatformEdges,
    PlatformProcessor,
)
from streams.projection import Entry
from streams.reading import EventReading
from streams.rebuilding import RebuildEdges, TableRebuild
from streams.receipt import Receipt
from streams.records import LATE, TopicPartition
from streams.retry import RetrySchedule
from streams.table import MemoryTable
from tests.unit.streams.bench import NOW
from tests.unit.streams.parked import SOURCE, UNKNOWN, Parked


async def test_what_an_unreadable_record_brings_about_late_is_taken_downstream(
    parked: Parked,
) -> None:
    @parked.app.on("analysis.*")
    async def notify(event: Event[AnalysisStarted], context: Context) -> None:
        data = NotificationSent(notification_id="n", project_id="p", user_id=None, subject="s")
        await context.publish(data, aggregate_id="n")

    early, other = parked.record("a", "1", 0), parked.record("b", "2", 1)
    await parked.processor().process(SOURCE, [early._replace(value=UNKNOWN), other])
    await parked.order(OrderKind.EDIT, parked.letter, early.value)
    in_time, late = parked.bench.log.topic("events.domain.normal")
    assert late.header("wundr_emission") is None

    down = App("down")

    @down.projection("count", on=("notification.*",), initial=dict)
    def count(state: dict[str, Any], event: Event[Any]) -> dict[str, Any]:
        return {"n": state.get("n", 0) + 1}

    table = MemoryTable("down.main-count-changelog")
    processor = parked.bench.processor(down, {"count": table})
    await processor.process(in_time.source, [in_time, late])
    value = table.get((late.key or b"").decode())
    assert Entry.decode(value or b"").state == {"n": 2}


@pytest.mark.parametrize("is_readable", [True, False])
async def test_an_event_that_gets_its_own_key_late_is_folded(
    parked: Parked, is_readable: bool
) -> None:
    keyless = {"1"} if is_readable else set()

    def key_of(event: Event[Any]) -> str:
        if event.metadata.user_id in keyless:
            raise ValueError("no key")
        return str(event.data.project_id)

    rekeyed = parked.app.projection("files", on=("analysis.started",), initial=dict, key=key_of)
    rekeyed(parked.journal.fold)
    processor = parked.processor()
    early, other = parked.record("a", "1", 0), parked.record("b", "2", 1)
    given = early if is_readable else early._replace(value=UNKNOWN)
    await processor.process(SOURCE, [given, other])
    sent_on = parked.bench.log.topic("repartition.team.files")
    await processor.process(sent_on[0].source, sent_on)
    keyless.clear()
    await parked.order(OrderKind.EDIT, parked.letter, early.value)
    assert parked.live("dlq.team") == []
    (late,) = parked.bench.log.topic("repartition.team.files")[1:]
    await processor.process(late.source, [late])
    assert parked.folded("p1") == ["2", "1"]


async def rebuild(parked: Parked) -> None:
    """Make the table of the partition anew from the archive."""
    workload = parked.app.workload()
    schemas = MemoryWriterSchemas(parked.bench.log, parked.bench.codec, wait_s=0)

    async def committed(group: str) -> Mapping[TopicPartition, int]:
        return {SOURCE: 2}

    edges = RebuildEdges(
        reading=EventReading(parked.bench.codec, schemas, workload.wants),
        sender=MemorySender(parked.bench.log),
        open_fetcher=parked.fetcher,
        committed=committed,
        held_back=partial(held_back, parked.fetcher, "team", workload.group),
    )
    assert parked.table is not None
    await TableRebuild(workload, 4, PLATFORM_GROUP, edges).rebuild({"seen": parked.table}, {0})


def platform(parked: Parked) -> PlatformProcessor:
    """Who archives into the same log."""
    bench, sender = parked.bench, MemorySender(parked.bench.log)
    lot_edges = LotEdges(sender=sender, clock=lambda: NOW)
    edges = PlatformEdges(
        catalog=bench.catalog,
        codec=bench.codec,
        schemas=MemoryWriterSchemas(bench.log, bench.codec, wait_s=0),
        sender=sender,
        attempts=Attempts(RetrySchedule(tries=1), bench.sleep),
        parking=ParkingLot(PLATFORM_APP, PLATFORM_GROUP, lot_edges),
    )
    return PlatformProcessor(edges)


async def test_a_rebuild_leaves_out_what_waits_behind_an_unreadable_record(
    parked: Parked,
) -> None:
    parked.app.projection("seen", on=("*",), initial=dict)(parked.journal.fold)
    first, second = parked.records("a", ["1", "2"])
    given = [first._replace(value=UNKNOWN), second]
    await parked.processor().process(SOURCE, given)
    await platform(parked).process(SOURCE, given)
    await rebuild(parked)
    assert parked.folded() == []
    await parked.order(OrderKind.EDIT, parked.letter, first.value)
    assert parked.bench.lot.backlog == (0, 0, 0)
    assert parked.folded() == ["1", "2"]


async def test_a_rebuild_folds_what_was_archived_late(parked: Parked) -> None:
    parked.app.projection("seen", on=("*",), initial=dict)(parked.journal.fold)
    first, second = parked.records("a", ["1", "2"])
    await parked.processor().process(SOURCE, [first, second])
    archiving = platform(parked)
    await archiving.process(SOURCE, [first._replace(value=UNKNOWN, headers=()), second])
    receipts: list[Receipt] = []
    assert await archiving.redo(ARCHIVE, first, receipts) is None
    archived = parked.bench.log.topic(STORE_EVENTS)
    assert [(it.value, it.header(LATE)) for it in archived] == [
        (second.value, None),
        (first.value, b""),
    ]
    await rebuild(parked)
    assert sorted(parked.folded()) == ["1", "2"]
