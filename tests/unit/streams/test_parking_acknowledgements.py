"""What became of a letter, or of an order about it, counts once that is acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from schemas.errors import InvalidEventData
from schemas.event import Event
from schemas.events.domain import AnalysisStarted, NotificationSent
from schemas.topics import CONTROL_TOPIC
from streams.context import Context
from streams.errors import BrokerUnavailable
from streams.memory.log import MemoryLog
from streams.parking.letter import LetterState
from streams.parking.orders import Order, OrderKind
from streams.policies import DeadLetter, Retry
from streams.receipt import Acknowledgement, Receipt
from streams.records import OutgoingRecord
from tests.unit.streams.parked import SOURCE, Parked, WatchedSender, until

ONCE = (Retry(tries=1), DeadLetter())


class HoldingSender(WatchedSender):
    """What it `holds` is acknowledged only once a test says so."""

    def __init__(self, log: MemoryLog, holds: Callable[[OutgoingRecord], bool]) -> None:
        super().__init__(log)
        self.held: list[tuple[Receipt, asyncio.Future[Acknowledgement]]] = []
        self._holds = holds

    async def send(self, record: OutgoingRecord) -> Receipt:
        """See RecordSender."""
        receipt = await super().send(record)
        if not self._holds(record):
            return receipt
        promise: asyncio.Future[Acknowledgement] = asyncio.get_running_loop().create_future()
        self.held.append((receipt, promise))
        return Receipt(receipt.event_id, promise)

    def acknowledge(self) -> None:
        """What was held until now, and all that comes."""
        self._holds = lambda _: False
        for receipt, promise in self.held:
            receipt.tell(promise)


def ends(record: OutgoingRecord) -> bool:
    """Whether a record ends what has its key."""
    return record.value is None


def ended(parked: Parked, topic: str) -> int:
    """How many letters or orders were ended there."""
    return sum(it.value is None for it in parked.bench.log.topic(topic))


async def some_turns() -> None:
    """Let others do what they can."""
    for _ in range(50):
        await asyncio.sleep(0)


async def parked_first(parked: Parked, *names: str) -> None:
    """The first of some events of an aggregate is parked, the others wait behind it."""
    parked.journal.failing = {names[0]}
    parked.app.on("analysis.*", policies=ONCE)(parked.journal.handle)
    await parked.processor().process(SOURCE, parked.records("a", names))


def give(parked: Parked, kind: OrderKind, value: bytes | None = None) -> Order:
    """Somebody orders something about the dead letter."""
    order = Order(app="team", letter_id=parked.letter.id, kind=kind, value=value)
    parked.bench.lot.order(order)
    return order


async def test_a_dead_letter_has_ended_before_those_behind_it_are_ended(parked: Parked) -> None:
    sender = HoldingSender(parked.bench.log, lambda it: it.topic == "dlq.team" and ends(it))
    parked.sender = sender
    await parked_first(parked, "1", "2", "3")
    parked.journal.failing.clear()
    give(parked, OrderKind.REDRIVE)
    await parked.bench.redoing.carry_out_orders()
    trying = asyncio.create_task(parked.bench.redoing.redo_due())
    await until(lambda: sender.held != [])
    await some_turns()
    assert ended(parked, "retry.team") == 0, "one behind it ended first"
    sender.acknowledge()
    await trying
    assert parked.journal.seen == ["1", "2", "3"]
    assert (ended(parked, "dlq.team"), ended(parked, "retry.team")) == (1, 2)


@pytest.mark.parametrize("state", [LetterState.WAITING, LetterState.PARKED])
async def test_a_letter_ends_once_what_its_handler_emitted_is_acknowledged(
    parked: Parked, state: LetterState
) -> None:
    journal = parked.journal
    journal.failing = {"1"}
    tries = 1 if state is LetterState.PARKED else 9

    @parked.app.on(AnalysisStarted, policies=(Retry(tries=tries), DeadLetter()))
    async def notify(event: Event[AnalysisStarted], context: Context) -> None:
        name = journal.judge(event)
        data = NotificationSent(notification_id=name, project_id="p", user_id=None, subject="s")
        await context.publish(data, aggregate_id=f"n{name}")

    emitting = HoldingSender(parked.bench.log, lambda _: True)
    parked.bench.events = emitting
    await parked.processor().process(SOURCE, [parked.record("a", "1", 0)])
    (letter,) = parked.live("dlq.team") + parked.live("retry.team")
    journal.failing.clear()
    parked.bench.lot.order(Order(app="team", letter_id=letter.id, kind=OrderKind.REDRIVE))
    await parked.bench.redoing.carry_out_orders()
    trying = asyncio.create_task(parked.bench.redoing.redo_due())
    await until(lambda: emitting.held != [])
    await some_turns()
    assert parked.live(letter.topic) == [letter], "the emission could still be lost"
    emitting.acknowledge()
    await trying
    assert (letter.state, parked.live(letter.topic)) == (state, [])


async def test_what_was_parked_stays_parked_after_a_redrive_that_fails_in_another_way(
    parked: Parked,
) -> None:
    errors: list[Exception] = [InvalidEventData("data.root", "is no folder"), ValueError("no")]

    @parked.app.on("analysis.*", policies=(Retry(tries=9), DeadLetter()))
    async def notify(event: Event[AnalysisStarted], context: Context) -> None:
        raise errors.pop(0)

    await parked.processor().process(SOURCE, [parked.record("a", "1", 0)])
    await parked.bench.redo()
    assert (parked.letter.reason, parked.letter.tries) == ("schemas.invalid_event_data", 1)
    await parked.order(OrderKind.REDRIVE, parked.letter)
    letter = parked.letter
    assert (letter.reason, letter.tries, letter.due_at) == ("ValueError", 2, None)
    assert (parked.live("retry.team"), parked.bench.lot.next_due_s()) == ([], None)
    assert parked.bench.lot.backlog == (0, 1, 0)


async def test_an_order_whose_end_could_not_be_sent_is_ended_after_the_outage(
    parked: Parked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.parking.redoing.AGAIN_S", 0)
    await parked_first(parked, "1", "2")
    parked.journal.failing.clear()
    order = give(parked, OrderKind.REDRIVE)

    def before(record: OutgoingRecord) -> None:
        if record.topic == CONTROL_TOPIC:
            raise BrokerUnavailable("away")

    parked.sender.before = before
    await parked.bench.redoing.carry_out_orders()
    with pytest.raises(BrokerUnavailable):
        await parked.bench.redoing.redo_due()
    assert list(parked.bench.lot.orders.letter_ids) == [order.letter_id]
    parked.sender.before = None
    await parked.bench.redoing.carry_out_orders()
    await parked.bench.redo()
    (end,) = parked.bench.log.topic(CONTROL_TOPIC)
    assert (end.key, end.value) == (order.key.encode(), None)
    assert parked.bench.lot.orders.letter_ids == ()
    assert parked.journal.seen == ["1", "2"]


async def test_the_end_of_an_older_order_does_not_end_a_newer_one_about_the_same_letter(
    parked: Parked,
) -> None:
    coming = [OrderKind.DROP]

    @parked.app.on("analysis.*", policies=ONCE)
    async def notify(event: Event[AnalysisStarted], context: Context) -> None:
        if parked.live("dlq.team") and coming:
            give(parked, coming.pop())
        raise ValueError("no")

    await parked.processor().process(SOURCE, [parked.record("a", "1", 0)])
    letter = parked.letter
    give(parked, OrderKind.REDRIVE)
    await parked.bench.redoing.carry_out_orders()
    await parked.bench.redoing.redo_due()
    assert coming == []
    assert ended(parked, CONTROL_TOPIC) == 0, "both have one key: the newer one is gone"
    assert list(parked.bench.lot.orders.letter_ids) == [letter.id]
    await parked.bench.redoing.carry_out_orders()
    assert (parked.live("dlq.team"), ended(parked, CONTROL_TOPIC)) == ([], 1)
    assert parked.bench.lot.orders.letter_ids == ()


async def test_an_order_that_comes_while_an_older_one_is_ended_is_carried_out(
    parked: Parked,
) -> None:
    sender = HoldingSender(parked.bench.log, lambda it: it.topic == CONTROL_TOPIC)
    parked.sender = sender
    await parked_first(parked, "1", "2")
    give(parked, OrderKind.REDRIVE)
    await parked.bench.redoing.carry_out_orders()
    trying = asyncio.create_task(parked.bench.redoing.redo_due())
    await until(lambda: sender.held != [])
    newer = give(parked, OrderKind.DROP)
    sender.acknowledge()
    await trying
    assert list(parked.bench.lot.orders.letter_ids) == [newer.letter_id]
    await parked.bench.redoing.carry_out_orders()
    await parked.bench.redo()
    assert (parked.live("dlq.team"), parked.journal.seen) == ([], ["2"])
    assert parked.bench.lot.orders.letter_ids == ()


async def test_the_new_bytes_of_an_edit_are_kept_before_they_are_tried(parked: Parked) -> None:
    await parked_first(parked, "1", "2")
    failed, mended = parked.letter, parked.record("a", "mended", 0)
    give(parked, OrderKind.EDIT, mended.value)
    await parked.bench.redoing.carry_out_orders()
    assert parked.journal.tries == ["1"]
    assert parked.letter.record == failed.record._replace(value=mended.value)
    assert (parked.letter.edited_at, parked.letter.tries) == (parked.bench.now, failed.tries)
    await parked.take_over()
    await parked.order(OrderKind.REDRIVE, parked.letter)
    assert parked.journal.seen == ["mended", "2"]


async def test_an_edit_is_tried_once_its_new_bytes_are_acknowledged(parked: Parked) -> None:
    await parked_first(parked, "1")
    mended = parked.record("a", "mended", 0).value
    sender = HoldingSender(parked.bench.log, lambda it: it.topic == "dlq.team" and not ends(it))
    parked.sender = sender
    parked.processor()
    await parked.bench.redoing.take_up([SOURCE])
    give(parked, OrderKind.EDIT, mended)
    ordering = asyncio.create_task(parked.bench.redoing.carry_out_orders())
    await until(lambda: sender.held != [])
    assert await parked.bench.redoing.redo_due() == 0
    assert parked.journal.seen == []
    sender.acknowledge()
    await ordering
    await parked.bench.redo()
    assert parked.journal.seen == ["mended"]
