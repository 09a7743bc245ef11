"""What the inner call does with projections: tables, their changelogs, lanes that share them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest

from schemas.envelope import Metadata
from schemas.event import Event
from streams.app import App
from streams.log import RecordSender
from streams.memory.log import MemorySender
from streams.projection import Entry
from streams.reading import EventReading
from streams.receipt import Acknowledgement, Receipt
from streams.records import OutgoingRecord, RawRecord, TopicPartition
from streams.table import MemoryTable
from streams.window import is_reserved
from tests.unit.streams.bench import Bench

MakeEvent = Callable[..., Event[Any]]


def letters(bench: Bench) -> list[RawRecord]:
    return bench.log.topic("dlq.team")


def entry_changes(bench: Bench, changelog: str) -> list[RawRecord]:
    return [record for record in bench.log.topic(changelog) if not is_reserved(record.key or b"")]


async def test_a_projection_with_a_key_is_fed_through_its_repartition_topic(
    bench: Bench, started: MakeEvent
) -> None:
    app = App("team")

    @app.projection(
        "files",
        on=("analysis.started",),
        initial=dict,
        key=lambda event: str(event.data.project_id),
    )
    def files(state: dict[str, Any], event: Event[Any]) -> dict[str, Any]:
        return {"files": state.get("files", 0) + event.data.files}

    table = MemoryTable("team.main-files-changelog")
    processor = bench.processor(app, {"files": table})
    records = [bench.record(started(name), offset) for offset, name in enumerate("abc")]
    await processor.process(records[0].source, records)
    assert table.keys() == ()
    forwarded = bench.log.topic("repartition.team.files")
    assert [record.key for record in forwarded] == [b"p1"] * 3
    assert [record.origin.offset for record in forwarded] == [0, 1, 2]
    source = TopicPartition("repartition.team.files", forwarded[0].partition)
    await processor.process(source, forwarded)
    await processor.process(source, forwarded)
    stored = table.get("p1")
    assert stored is not None
    assert Entry.decode(stored).state == {"files": 9}
    changes = entry_changes(bench, "team.main-files-changelog")
    assert [(change.partition, change.value) for change in changes] == [(source.partition, stored)]


async def test_a_fold_that_fails_leaves_the_table_as_it_was_and_a_dead_letter(
    bench: Bench, started: MakeEvent
) -> None:
    app = App("team")

    @app.projection("plain", on=("*",), initial=dict)
    def plain(state: dict[str, Any], event: Event[Any]) -> dict[str, Any]:
        state["seen"] = state.get("seen", 0) + 1
        if event.metadata.user_id == "evil":
            raise ZeroDivisionError
        return state

    events = [started(), started(metadata=Metadata(user_id="evil")), started()]
    table = MemoryTable("team.main-plain-changelog")
    records = [bench.record(event, offset) for offset, event in enumerate(events)]
    await bench.processor(app, {"plain": table}).process(records[0].source, records)
    assert Entry.decode(table.get("Analysis/a1") or b"").state == {"seen": 1}
    (letter,) = letters(bench)
    assert dict(letter.headers)["wundr_handler"] == b"plain"
    await bench.drop(letter)
    assert Entry.decode(table.get("Analysis/a1") or b"").state == {"seen": 2}


@pytest.mark.parametrize(
    "unfit",
    [{3: 1}, {"too large": 2**70}, {"of no JSON type": object()}, ["a list"], None],
    ids=["a key that is no text", "a number too large", "no JSON type", "a list", "nothing"],
)
async def test_a_fold_that_returns_no_json_object_makes_a_dead_letter_and_work_goes_on(
    bench: Bench, started: MakeEvent, unfit: Any
) -> None:
    app = App("team")

    @app.projection("plain", on=("*",), initial=dict)
    def plain(state: dict[str, Any], event: Event[Any]) -> Any:
        state["seen"] = state.get("seen", 0) + 1
        return unfit if event.metadata.user_id == "evil" else state

    events = [started(), started(metadata=Metadata(user_id="evil")), started()]
    table = MemoryTable("team.main-plain-changelog")
    records = [bench.record(event, offset) for offset, event in enumerate(events)]
    await bench.processor(app, {"plain": table}).process(records[0].source, records)
    assert Entry.decode(table.get("Analysis/a1") or b"").state == {"seen": 1}
    (letter,) = letters(bench)
    assert dict(letter.headers)["wundr_reason"] == b"streams.state_not_storable"
    await bench.drop(letter)
    assert Entry.decode(table.get("Analysis/a1") or b"").state == {"seen": 2}


async def test_an_initial_state_that_is_no_json_object_makes_a_dead_letter(
    bench: Bench, started: MakeEvent
) -> None:
    app = App("team")
    unfit: Any = list

    @app.projection("plain", on=("*",), initial=unfit)
    def plain(state: dict[str, Any], event: Event[Any]) -> dict[str, Any]:
        return state

    record = bench.record(started())
    table = MemoryTable("team.main-plain-changelog")
    await bench.processor(app, {"plain": table}).process(record.source, [record])
    assert table.keys() == ()
    assert len(letters(bench)) == 1


class SlowSender:
    """Sends at once; what it sent is acknowledged when `acknowledge` is set."""

    def __init__(self, sender: RecordSender) -> None:
        self._sender = sender
        self.acknowledge = asyncio.Event()

    async def send(self, record: OutgoingRecord) -> Receipt:
        """See RecordSender."""
        sent = await self._sender.send(record)

        async def acknowledged() -> Acknowledgement:
            await self.acknowledge.wait()
            return await sent

        return Receipt(sent.event_id, asyncio.ensure_future(acknowledged()))

    async def flush(self) -> None:
        """See RecordSender."""

    async def close(self) -> None:
        """See RecordSender."""


async def test_lanes_of_two_topics_that_feed_one_entry_wait_for_each_other(
    bench: Bench, started: MakeEvent
) -> None:
    app = App("team")

    @app.projection("plain", on=("*",), initial=dict)
    def plain(state: dict[str, Any], event: Event[Any]) -> dict[str, Any]:
        return {"seen": state.get("seen", 0) + 1}

    table = MemoryTable("team.main-plain-changelog")
    sender = SlowSender(MemorySender(bench.log))
    processor = bench.processor(app, {"plain": table}, sender)
    batches = [
        [
            bench.record(started(), offset)._replace(topic=f"events.domain.{priority}")
            for offset in range(3)
        ]
        for priority in ("high", "low")
    ]
    lanes = [asyncio.create_task(processor.process(batch[0].source, batch)) for batch in batches]
    await asyncio.wait(lanes, timeout=0.02)
    assert len(entry_changes(bench, "team.main-plain-changelog")) == 1
    sender.acknowledge.set()
    await asyncio.gather(*lanes)
    assert Entry.decode(table.get("Analysis/a1") or b"").state == {"seen": 6}


async def test_lanes_of_different_partitions_do_not_wait_for_each_other(
    bench: Bench, started: MakeEvent
) -> None:
    app = App("team")

    @app.projection("plain", on=("*",), initial=dict)
    def plain(state: dict[str, Any], event: Event[Any]) -> dict[str, Any]:
        return {"seen": state.get("seen", 0) + 1}

    sender = SlowSender(MemorySender(bench.log))
    processor = bench.processor(app, {"plain": MemoryTable("team.main-plain-changelog")}, sender)
    records = [bench.record(started(), partition=number) for number in range(2)]
    lanes = [asyncio.create_task(processor.process(record.source, [record])) for record in records]
    await asyncio.wait(lanes, timeout=0.02)
    assert len(entry_changes(bench, "team.main-plain-changelog")) == 2
    sender.acknowledge.set()
    await asyncio.gather(*lanes)


def counting_app() -> App:
    app = App("team")

    @app.projection("plain", on=("*",), initial=dict)
    def plain(state: dict[str, Any], event: Event[Any]) -> dict[str, Any]:
        return {"seen": state.get("seen", 0) + 1}

    return app


async def test_records_that_come_meanwhile_are_written_once_together(
    bench: Bench, started: MakeEvent
) -> None:
    table = MemoryTable("team.main-plain-changelog")
    processor = bench.processor(counting_app(), {"plain": table})
    pieces = [[bench.record(started(), offset) for offset in (at, at + 1)] for at in (0, 2, 4)]
    rest = iter([*pieces[1:], []])
    await processor.process(pieces[0][0].source, pieces[0], lambda: next(rest))
    (change,) = entry_changes(bench, "team.main-plain-changelog")
    assert Entry.decode(change.value or b"").state == {"seen": 6}


class ShortSlices:
    """Implements Pace: everybody gets a turn after each step."""

    async def turn(self, topic: str, since_ms: int) -> None:
        """See Pace."""
        await asyncio.sleep(0)

    def is_over(self) -> bool:
        """See Pace."""
        return True


async def test_events_are_let_go_of_once_folded_and_viewed_again_where_a_fold_fails(
    bench: Bench, started: MakeEvent, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = App("team")

    @app.projection("files", on=("analysis.started",), initial=dict)
    def files(state: dict[str, Any], event: Event[Any]) -> dict[str, Any]:
        if event.data.analysis_id == "bad":
            raise ValueError("bad")
        return {"files": state.get("files", 0) + event.data.files}

    viewed: list[RawRecord] = []
    view_again = EventReading.view_again

    def noted(reading: EventReading, records: Sequence[RawRecord]) -> list[Event[Any]]:
        viewed.extend(records)
        return view_again(reading, records)

    monkeypatch.setattr(EventReading, "view_again", noted)
    processor = bench.processor(app, {"files": MemoryTable("team.main-files-changelog")})
    happened = [started("a"), started("b"), started("bad")]
    records = [bench.record(event, offset) for offset, event in enumerate(happened)]
    await processor.process(records[0].source, records)
    assert [record.offset for record in viewed] == [0, 1, 2]
    assert len(letters(bench)) == 1


async def test_a_critical_batch_goes_between_the_parts_of_a_long_one(
    bench: Bench, started: MakeEvent
) -> None:
    bench.pace = ShortSlices()
    processor = bench.processor(counting_app(), {"plain": MemoryTable("team.main-plain-changelog")})
    low = [bench.record(started(), at)._replace(topic="events.domain.low") for at in range(9)]
    urgent = bench.record(started())._replace(topic="events.domain.critical")
    rest = iter([*([record] for record in low[1:]), []])
    lowest = asyncio.create_task(processor.process(low[0].source, low[:1], lambda: next(rest)))
    await asyncio.sleep(0)
    await asyncio.gather(lowest, processor.process(urgent.source, [urgent]))
    changes = entry_changes(bench, "team.main-plain-changelog")
    entries = [Entry.decode(change.value or b"") for change in changes]
    assert len(entries) == 3
    assert "events.domain.critical/0" not in entries[0].coverage.positions
    assert entries[1].state["seen"] == entries[0].state["seen"] + 1
    assert "events.domain.critical/0" in entries[1].coverage.positions
    assert entries[2].state == {"seen": 10}


async def test_events_of_several_types_reach_the_projections_that_want_them(
    bench: Bench, started: MakeEvent
) -> None:
    app = App("team")

    @app.projection("all", on=("*",), initial=dict)
    def every(state: dict[str, Any], event: Event[Any]) -> dict[str, Any]:
        return {"types": [*state.get("types", ()), event.type]}

    @app.projection("some", on=("analysis.completed",), initial=dict)
    def some(state: dict[str, Any], event: Event[Any]) -> dict[str, Any]:
        return {"types": [*state.get("types", ()), event.type]}

    tables = {name: MemoryTable(f"team.main-{name}-changelog") for name in ("all", "some")}
    processor = bench.processor(app, tables)
    types = ["analysis.started", "analysis.completed", "analysis.started"]
    make: dict[str, Callable[[], Event[Any]]] = {
        "analysis.started": started,
        "analysis.completed": partial(completed, bench),
    }
    for begin in (0, 3):
        # The second time it is known that events of these schemas are wanted.
        records = [bench.record(make[name](), begin + at) for at, name in enumerate(types)]
        await processor.process(records[0].source, records)
    for name, expected in (("all", 2 * types), ("some", 2 * types[1:2])):
        stored = Entry.decode(tables[name].get("Analysis/a1") or b"").state["types"]
        assert stored == expected


def completed(bench: Bench) -> Event[Any]:
    counts = dict.fromkeys(("files", "failed", "functions", "classes", "lines", "durationMs"), 1)
    data = {"analysisId": "a1", "projectId": "p1", "package": "json", **counts}
    return bench.factory.create_from_mapping("analysis.completed", data)
