"""What is read again after a crash or a rebalance is done once more, or waits once: never lost."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from schemas.errors import NotAnEvent
from schemas.event import Event
from schemas.events.domain import AnalysisStarted, NotificationSent
from streams.attempts import Failed
from streams.context import Context
from streams.memory.log import MemorySender
from streams.parking.letter import LetterState
from streams.parking.orders import OrderKind
from streams.policies import DeadLetter, Deduplicate, Retry
from streams.receipt import Receipt
from streams.records import OutgoingRecord
from streams.table_folding import FOLD_AT_ONCE
from tests.unit.streams.parked import SOURCE, UNKNOWN, Crashed, MakeEvent, Parked, until


async def test_what_stands_before_an_unreadable_record_is_handled_by_the_next_owner(
    parked: Parked,
) -> None:
    journal = parked.journal
    journal.is_away = True
    parked.app.on(AnalysisStarted, batch=True)(journal.handle_all)
    parked.app.projection("seen", on=("*",), initial=dict)(journal.fold)
    first, second = parked.records("a", ["1", "2"])
    given = [first, second._replace(value=UNKNOWN)]
    lane = asyncio.create_task(parked.processor().process(SOURCE, given))
    await until(lambda: parked.bench.slept != [] and parked.live("dlq.team") != [])
    lane.cancel()
    with pytest.raises(asyncio.CancelledError):
        await lane
    journal.is_away = False
    processor = await parked.take_over()
    await processor.process(SOURCE, given)
    await parked.order(OrderKind.EDIT, parked.letter, second.value)
    assert (journal.together, parked.folded()) == (["1", "2"], ["1", "2"])


async def test_a_fold_that_was_not_written_is_folded_by_the_next_owner(parked: Parked) -> None:
    journal = parked.journal
    journal.failing = {"2"}
    parked.app.projection("seen", on=("*",), initial=dict)(journal.fold)

    def crash(record: OutgoingRecord) -> None:
        if record.topic.endswith("changelog"):
            raise Crashed

    parked.sender.before = crash
    records = parked.records("a", ["1", "2", "3"])
    with pytest.raises(Crashed):
        await parked.processor().process(SOURCE, records)
    processor = await parked.take_over()
    await processor.process(SOURCE, records)
    journal.failing.clear()
    await parked.order(OrderKind.REDRIVE, parked.letter)
    assert parked.folded() == ["1", "2", "3"]


class UnansweredSender(MemorySender):
    """Takes the records, and no broker ever answers."""

    async def send(self, record: OutgoingRecord) -> Receipt:
        """See RecordSender."""
        return Receipt("", asyncio.get_running_loop().create_future())


async def test_an_emission_that_was_not_acknowledged_is_sent_by_the_next_owner(
    parked: Parked,
) -> None:
    journal = parked.journal
    journal.failing = {"2"}

    @parked.app.on(AnalysisStarted)
    async def notify(event: Event[AnalysisStarted], context: Context) -> None:
        name = journal.judge(event)
        data = NotificationSent(notification_id=name, project_id="p", user_id=None, subject="s")
        await context.publish(data, aggregate_id=f"n{name}")

    parked.bench.events = UnansweredSender(parked.bench.log)
    records = parked.records("a", ["1", "2"])
    lane = asyncio.create_task(parked.processor().process(SOURCE, records))
    await until(lambda: parked.live("retry.team") != [])
    lane.cancel()
    with pytest.raises(asyncio.CancelledError):
        await lane
    parked.bench.events = None
    journal.failing.clear()
    processor = await parked.take_over()
    await processor.process(SOURCE, records)
    await parked.bench.redo()
    assert len(parked.bench.log.topic("events.domain.normal")) == 2


async def test_a_letter_that_has_moved_is_gone_where_it_was_before_anything_is_done_with_it(
    parked: Parked,
) -> None:
    journal = parked.journal
    journal.failing = {"1"}
    parked.app.on("analysis.*", name="notify")(journal.handle)
    records = parked.records("a", ["1", "2"])
    await parked.processor().process(SOURCE, records)

    def crash(record: OutgoingRecord) -> None:
        if record.topic == "retry.team" and record.value is None:
            raise Crashed

    parked.sender.before = crash
    with pytest.raises(Crashed):
        await parked.bench.redo()
    moved = parked.letter
    parked.bench.processor(parked.app, sender=UnansweredSender(parked.bench.log))
    taking_up = asyncio.create_task(parked.bench.redoing.take_up([SOURCE]))
    await asyncio.wait({taking_up}, timeout=0.05)
    is_early = taking_up.done()
    taking_up.cancel()
    await parked.take_over()
    await parked.order(OrderKind.DROP, moved)
    await parked.take_over()
    await parked.bench.redo()
    assert (is_early, parked.live("retry.team"), journal.seen) == (False, [], ["2"])


async def test_bytes_that_are_no_event_are_parked_once(parked: Parked) -> None:
    parked.app.on("analysis.*")(parked.journal.handle)
    garbage = parked.record("a", "1", 0)._replace(value=b"garbage")
    await parked.processor().process(SOURCE, [garbage])
    processor = await parked.take_over()
    await processor.process(SOURCE, [garbage])
    assert len(parked.live("dlq.team")) == 1
    assert parked.bench.lot.backlog.parked == 1


async def test_what_is_parked_alone_is_parked_once(parked: Parked) -> None:
    parked.processor()
    record = parked.record("a", "1", 0)
    failed = Failed(error=ValueError("no"), tries=3)
    kept = await parked.bench.lot.park_alone("archive", record, failed)
    again = await parked.bench.lot.park_alone("archive", record, failed)
    assert (len(kept), again) == (1, [])
    await parked.order(OrderKind.DROP, parked.letter)
    assert (parked.live("dlq.team"), parked.bench.lot.backlog) == ([], (0, 0, 0))


async def test_copies_behind_a_failed_event_are_left_out(
    parked: Parked, started: MakeEvent
) -> None:
    policies = (Deduplicate(), Retry(tries=3), DeadLetter())
    seen: list[str] = []
    failing = [True]

    @parked.app.on("analysis.*", policies=policies)
    async def notify(event: Event[AnalysisStarted], context: Context) -> None:
        if failing:
            raise ValueError("no")
        seen.append(event.id)

    event = started("a")
    records = [parked.bench.record(event, 0), parked.bench.record(event, 1)]
    await parked.processor().process(SOURCE, records)
    failing.clear()
    await parked.bench.redo()
    assert seen == [event.id]


async def test_later_events_wait_behind_one_whose_handler_says_not_an_event(
    parked: Parked,
) -> None:
    seen: list[str] = []

    @parked.app.on("analysis.*")
    async def notify(event: Event[AnalysisStarted], context: Context) -> None:
        name = str(event.metadata.user_id)
        if name == "1":
            raise NotAnEvent("what it carries is none")
        seen.append(name)

    await parked.processor().process(SOURCE, parked.records("a", ["1", "2"]))
    assert seen == []
    assert [it.state for it in parked.live("retry.team")] == [LetterState.BEHIND]


async def test_a_letter_in_both_topics_is_one_that_was_about_to_move(parked: Parked) -> None:
    journal = parked.journal
    journal.failing = {"1"}
    parked.app.on("analysis.*", policies=(Retry(tries=2), DeadLetter()))(journal.handle)
    await parked.processor().process(SOURCE, parked.records("a", ["1", "2"]))

    def crash(record: OutgoingRecord) -> None:
        if record.value is None:
            raise Crashed

    parked.sender.before = crash
    with pytest.raises(Crashed):
        await parked.bench.redo()
    await parked.take_over()
    await parked.order(OrderKind.DROP, parked.letter)
    assert journal.seen == ["2"]
    journal.failing.clear()
    await parked.take_over()
    await parked.bench.redo()
    assert journal.seen == ["2"]


async def test_no_event_of_a_table_overtakes_those_of_its_aggregate_that_wait(
    parked: Parked,
) -> None:
    """Those that were collected beside handlers are folded some at a time."""
    journal = parked.journal
    journal.failing = {"0"}
    parked.app.projection("seen", on=("*",), initial=dict)(journal.fold)

    @parked.app.on("analysis.*")
    async def beside(event: Event[Any], context: Context) -> None:
        assert event.id

    others = [parked.record(f"o{at}", "other", at) for at in range(2, 3 * FOLD_AT_ONCE)]
    records = [*parked.records("a", ["0", "1"]), *others]
    records.append(parked.record("a", "2", len(records)))
    await parked.processor().process(SOURCE, records)
    assert parked.folded() == []
    assert parked.folded("Analysis/o2") == parked.folded(f"Analysis/o{len(others)}") == ["other"]
    journal.failing.clear()
    head = min(parked.live("dlq.team"), key=lambda letter: letter.record.offset)
    await parked.order(OrderKind.REDRIVE, head)
    assert parked.folded() == ["0", "1", "2"]
    assert parked.live("dlq.team") == []
