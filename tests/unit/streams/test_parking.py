"""Failed events wait in order: for their handler alone, behind nobody else's aggregate."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from schemas.envelope import Metadata
from schemas.event import Event
from schemas.events.domain import NotificationSent
from streams.app import App
from streams.attempts import Attempts
from streams.context import Context
from streams.errors import BrokerUnavailable
from streams.memory.fetcher import MemoryFetcher
from streams.memory.log import MemorySender
from streams.parking.letter import Letter, LetterState
from streams.parking.loading import load_entries
from streams.parking.lot import Backlog
from streams.parking.orders import Order, OrderKind
from streams.policies import DeadLetter, Retry, TimeOut
from streams.projection import Entry
from streams.receipt import Receipt
from streams.records import OutgoingRecord, RawRecord, TopicPartition
from streams.retry import RetrySchedule
from streams.runtime.patience import PatientSender
from streams.table import MemoryTable
from tests.unit.streams.bench import NOW, Bench

MakeEvent = Callable[..., Event[Any]]


class Journal:
    """What a handler was given, and which events it fails for at the moment."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.failing: set[str] = set()

    async def handle(self, event: Event[Any], context: Context) -> None:
        name = str(event.metadata.user_id)
        self.seen.append(name)
        if name in self.failing:
            raise ValueError(f"{name} cannot be handled")


class World:
    """Events of several aggregates in one partition, and an app with a handler and a table."""

    def __init__(self, bench: Bench, started: MakeEvent) -> None:
        self.bench = bench
        self.started = started
        self.journal = Journal()
        self.app = App("team")
        self.app.on("analysis.*", name="notify")(self.journal.handle)
        self.processor = bench.processor(self.app)
        self.offset = 0

    def record(self, aggregate: str, name: str) -> RawRecord:
        event = self.started(aggregate, metadata=Metadata(user_id=name))
        record = self.bench.record(event, self.offset)
        self.offset += 1
        return record

    async def work(self, *records: RawRecord) -> None:
        await self.processor.process(records[0].source, records)

    def live(self, topic: str) -> list[Letter]:
        found: dict[bytes, RawRecord] = {}
        for record in self.bench.log.topic(topic):
            found[record.key or b""] = record
        return [Letter.decode(it) for it in found.values() if it.value is not None]

    async def restart(self) -> None:
        """Another worker takes over, which knows what the topics hold."""
        self.processor = self.bench.processor(self.app)
        source = TopicPartition("events.domain.high", 0)
        await self.bench.redoing.begin([source])
        await self.bench.redoing.close()
        entries = await load_entries(
            lambda: MemoryFetcher(self.bench.log), "team", "team.main", {0}
        )
        self.bench.lot.restore(entries, [source])

    async def order(self, kind: OrderKind, letter: Letter, value: bytes | None = None) -> None:
        order = Order(app="team", letter_id=letter.id, kind=kind, value=value)
        await self.bench.order(order)


@pytest.fixture
def world(bench: Bench, started: MakeEvent) -> World:
    return World(bench, started)


async def test_later_events_of_the_aggregate_wait_and_all_others_flow(world: World) -> None:
    world.journal.failing = {"a1"}
    await world.work(
        world.record("a", "a1"),
        world.record("a", "a2"),
        world.record("b", "b1"),
        world.record("a", "a3"),
        world.record("b", "b2"),
    )
    assert world.journal.seen == ["a1", "b1", "b2"]
    assert world.bench.lot.backlog == Backlog(waiting=1, parked=0, behind=2)
    world.journal.failing.clear()
    await world.bench.redo()
    assert world.journal.seen == ["a1", "b1", "b2", "a1", "a2", "a3"]
    assert world.bench.lot.backlog == Backlog(0, 0, 0)
    await world.work(world.record("a", "a4"))
    assert world.journal.seen[-1] == "a4"


async def test_after_its_last_try_an_event_is_parked_and_the_rest_goes_on_waiting(
    world: World,
) -> None:
    world.journal.failing = {"a1"}
    await world.work(world.record("a", "a1"), world.record("a", "a2"))
    await world.bench.redo()
    assert world.journal.seen == ["a1", "a1", "a1"]
    (letter,) = world.live("dlq.team")
    assert (letter.state, letter.tries, letter.reason) == (LetterState.PARKED, 3, "ValueError")
    assert letter.last_error == "ValueError: a1 cannot be handled"
    (behind,) = world.live("retry.team")
    assert (behind.state, behind.record.offset) == (LetterState.BEHIND, 1)


async def test_a_redrive_tries_the_head_and_then_all_behind_it(world: World) -> None:
    world.journal.failing = {"a1"}
    await world.work(*(world.record("a", f"a{number}") for number in range(1, 5)))
    await world.bench.redo()
    (letter,) = world.live("dlq.team")
    world.journal.failing.clear()
    world.journal.seen.clear()
    await world.order(OrderKind.REDRIVE, letter)
    assert world.journal.seen == ["a1", "a2", "a3", "a4"]
    assert (world.live("dlq.team"), world.live("retry.team")) == ([], [])


async def test_a_redrive_that_fails_again_goes_back_to_its_place(world: World) -> None:
    world.journal.failing = {"a1"}
    await world.work(world.record("a", "a1"), world.record("a", "a2"))
    await world.bench.redo()
    (letter,) = world.live("dlq.team")
    await world.order(OrderKind.REDRIVE, letter)
    (again,) = world.live("dlq.team")
    assert (again.id, again.tries) == (letter.id, 4)
    assert world.bench.lot.orders.letter_ids == ()
    world.journal.failing.clear()
    world.journal.seen.clear()
    await world.order(OrderKind.REDRIVE, again)
    assert world.journal.seen == ["a1", "a2"]


async def test_a_drop_moves_the_handler_past_the_event(world: World) -> None:
    world.journal.failing = {"a1"}
    await world.work(world.record("a", "a1"), world.record("a", "a2"))
    await world.bench.redo()
    (letter,) = world.live("dlq.team")
    world.journal.seen.clear()
    await world.order(OrderKind.DROP, letter)
    assert world.journal.seen == ["a2"]
    assert world.bench.lot.backlog == Backlog(0, 0, 0)


async def test_an_edit_is_handled_with_its_new_bytes(world: World) -> None:
    world.journal.failing = {"a1"}
    await world.work(world.record("a", "a1"))
    await world.bench.redo()
    (letter,) = world.live("dlq.team")
    mended = world.record("a", "mended").value
    world.journal.seen.clear()
    await world.order(OrderKind.EDIT, letter, mended)
    assert world.journal.seen == ["mended"]


async def test_an_order_about_what_is_behind_or_gone_changes_nothing(world: World) -> None:
    world.journal.failing = {"a1"}
    await world.work(world.record("a", "a1"), world.record("a", "a2"))
    (behind,) = [it for it in world.live("retry.team") if it.state is LetterState.BEHIND]
    await world.order(OrderKind.DROP, behind)
    assert world.bench.lot.backlog == Backlog(waiting=0, parked=1, behind=1)
    assert world.bench.lot.orders.letter_ids == ()


async def test_only_what_stands_behind_a_parked_event_counts_as_a_dead_letter(world: World) -> None:
    world.journal.failing = {"a1", "b1"}
    await world.work(*(world.record(name[0], name) for name in ("a1", "a2", "a3")))
    assert world.bench.lot.dead_letters == 0, "its head waits for a retry"
    await world.bench.redo()
    assert world.bench.lot.dead_letters == 3
    await world.work(world.record("a", "a4"), world.record("b", "b1"), world.record("b", "b2"))
    assert world.bench.lot.dead_letters == 4
    await world.restart()
    assert world.bench.lot.dead_letters == 4
    letter = next(iter(world.live("dlq.team")))
    await world.order(OrderKind.DROP, letter)
    await world.bench.redo()
    assert world.bench.lot.dead_letters == 2, "those of b"
    world.bench.lot.forget()
    assert world.bench.lot.dead_letters == 0


async def test_another_worker_goes_on_where_one_ended(world: World) -> None:
    world.journal.failing = {"a1"}
    records = [world.record("a", "a1"), world.record("a", "a2"), world.record("b", "b1")]
    await world.work(*records)
    await world.restart()
    world.journal.seen.clear()
    await world.work(*records)  # its offsets were not committed
    assert world.journal.seen == ["b1"]
    world.journal.failing.clear()
    await world.bench.redo()
    assert world.journal.seen == ["b1", "a1", "a2"]


async def test_an_event_that_is_read_again_is_handled_before_the_later_ones(world: World) -> None:
    world.journal.failing = {"a1", "a2"}
    records = [world.record("a", "a1"), world.record("a", "a2")]
    await world.work(*records)
    world.journal.failing = {"a2"}
    await world.bench.redo()
    await world.restart()
    world.journal.seen.clear()
    await world.work(*records)
    world.journal.failing.clear()
    (letter,) = world.live("dlq.team")
    await world.order(OrderKind.REDRIVE, letter)
    assert world.journal.seen == ["a1", "a2"]


async def test_nothing_is_tried_before_it_is_due(bench: Bench, started: MakeEvent) -> None:
    world = World(bench, started)
    world.journal.failing = {"a1"}
    await world.work(world.record("a", "a1"))
    assert bench.lot.next_due_s() == pytest.approx(0.2)
    assert await bench.redoing.redo_due() == 0
    bench.now = NOW + timedelta(seconds=0.2)
    assert await bench.redoing.redo_due() == 1
    assert bench.lot.next_due_s() == pytest.approx(0.8)


async def test_infrastructure_is_waited_for_and_counts_no_try(
    bench: Bench, started: MakeEvent
) -> None:
    app, outages = App("team"), [ValueError("first"), *[BrokerUnavailable("away")] * 20]

    @app.on("analysis.*")
    async def fragile(event: Event[Any], context: Context) -> None:
        if outages:
            raise outages.pop(0)

    record = bench.record(started())
    await bench.processor(app).process(record.source, [record])
    await bench.redo()
    assert bench.lot.backlog == Backlog(0, 0, 0)
    assert len(bench.slept) == 20


async def test_a_handler_says_itself_how_often_it_is_tried(
    bench: Bench, started: MakeEvent
) -> None:
    app, tries = App("team"), []

    @app.on("analysis.*", policies=(TimeOut(1), Retry(tries=5, first_delay_s=1), DeadLetter()))
    async def fragile(event: Event[Any], context: Context) -> None:
        tries.append(1)
        raise ValueError("no")

    record = bench.record(started())
    await bench.processor(app).process(record.source, [record])
    await bench.redo()
    assert len(tries) == 5


async def test_what_is_emitted_late_has_the_same_id_and_no_place_in_the_stream(
    bench: Bench, started: MakeEvent
) -> None:
    app, failing = App("team"), [True]

    @app.on("analysis.*")
    async def notify(event: Event[Any], context: Context) -> None:
        if failing:
            raise ValueError("not yet")
        data = NotificationSent(notification_id="n", project_id="p", user_id=None, subject="s")
        await context.publish(data, aggregate_id="n")

    record = bench.record(started())
    processor = bench.processor(app)
    await processor.process(record.source, [record])
    failing.clear()
    await bench.redo()
    (late,) = bench.log.topic("events.domain.normal")
    await processor.process(record.source, [record])
    _, in_time = bench.log.topic("events.domain.normal")
    assert late.value == in_time.value
    assert late.header("wundr_emission") is None


async def test_a_fold_that_failed_is_redriven_into_its_place(
    bench: Bench, started: MakeEvent
) -> None:
    app, failing = App("team"), [True]

    @app.projection("seen", on=("*",), initial=dict)
    def seen(state: dict[str, Any], event: Event[Any]) -> dict[str, Any]:
        if failing and event.metadata.user_id == "2":
            raise ZeroDivisionError
        return {"order": [*state.get("order", []), event.metadata.user_id]}

    table = MemoryTable("team.main-seen-changelog")
    records = [bench.record(started(metadata=Metadata(user_id=str(at))), at) for at in range(5)]
    processor = bench.processor(app, {"seen": table})
    await processor.process(records[0].source, records[:4])
    await processor.process(records[0].source, records[4:])
    assert Entry.decode(table.get("Analysis/a1") or b"").state == {"order": ["0", "1"]}
    failing.clear()
    (kept,) = bench.log.topic("dlq.team")
    letter = Letter.decode(kept)
    await bench.order(Order(app="team", letter_id=letter.id, kind=OrderKind.REDRIVE))
    state = Entry.decode(table.get("Analysis/a1") or b"").state
    assert state == {"order": ["0", "1", "2", "3", "4"]}


async def test_a_letter_for_a_handler_that_is_gone_is_parked_and_says_so(
    world: World,
) -> None:
    world.journal.failing = {"a1"}
    await world.work(world.record("a", "a1"))
    world.app = App("team")
    world.app.on("analysis.*", name="renamed")(world.journal.handle)
    await world.restart()
    await world.bench.redo()
    (letter,) = world.live("dlq.team")
    assert letter.reason == "streams.no_such_handler"


async def test_values_beyond_the_bound_are_read_again_when_they_are_due(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.parking.lot.HELD_BYTES", 300)
    world.journal.failing = {"a1"}
    names = [f"a{number}" for number in range(1, 40)]
    await world.work(*(world.record("a", name) for name in names))
    await asyncio.sleep(0)
    line = world.bench.lot.line(TopicPartition("events.domain.high", 0))
    bare = [it for it in line.letters() if it.record.value is None]
    assert len(bare) > 30
    world.journal.failing.clear()
    world.journal.seen.clear()
    await world.bench.redo()
    assert world.journal.seen == names


class AwaySender(MemorySender):
    """The topic of waiting events cannot be reached for a while; all others can."""

    outages = 5

    async def send(self, record: OutgoingRecord) -> Receipt:
        """See RecordSender."""
        if record.topic == "retry.team" and self.outages:
            self.outages -= 1
            raise BrokerUnavailable("no leader")
        return await super().send(record)


async def test_where_failed_events_cannot_be_kept_the_partition_waits(
    bench: Bench, started: MakeEvent
) -> None:
    app, journal = App("team"), Journal()
    app.on("analysis.*", name="notify")(journal.handle)
    journal.failing = {"a1"}
    away = AwaySender(bench.log)
    patient = PatientSender(away, Attempts(RetrySchedule(), bench.sleep))
    records = [
        bench.record(started("a", metadata=Metadata(user_id=name)), at)
        for at, name in enumerate(("a1", "a2"))
    ]
    await bench.processor(app, sender=patient).process(records[0].source, records)
    assert len(bench.slept) == 5
    assert [it.offset for it in bench.log.topic("retry.team")] == [0, 1]
    assert bench.log.topic("dlq.team") == []
