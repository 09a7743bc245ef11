"""An order is carried out once, by who owns the letter, and never before its turn."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from schemas.event import Event
from schemas.events.domain import AnalysisStarted
from streams.context import Context
from streams.parking.lot import ParkingLot
from streams.parking.orders import Order, OrderKind, take_order
from streams.parking.redoing import Redoing
from streams.policies import DeadLetter, Retry
from streams.receipt import Acknowledgement, Receipt
from streams.records import OutgoingRecord, TopicPartition
from streams.serial_lane import SerialLane
from streams.turns import AtOnce
from tests.unit.streams.parked import SOURCE, UNKNOWN, Parked, until

ONCE = (Retry(tries=1), DeadLetter())
MANY = 20


def open_lane(parked: Parked) -> SerialLane:
    """A lane of the partition, which says how far it is; all that is finished is committed."""
    lane = SerialLane(parked.processor(), AtOnce(), SOURCE, lambda: None)
    parked.bench.redoing.keep_behind(lambda _: lane.committable, lambda _: lane.committable)
    return lane


async def carry_on(parked: Parked) -> None:
    """Some time later: what had to wait is looked at again."""
    parked.bench.now += timedelta(seconds=1)
    await parked.bench.redoing.carry_out_orders()
    await parked.bench.redo()


async def test_an_order_for_another_subscription_is_left_to_it(parked: Parked) -> None:
    parked.app.on("analysis.*")(parked.journal.handle)
    await parked.take_over()
    letter_id = "team.mailer/mail/events.domain.high/0/7"
    parked.bench.lot.order(Order(app="team", letter_id=letter_id, kind=OrderKind.REDRIVE))
    await parked.bench.redoing.carry_out_orders()
    assert parked.bench.log.topic("wundr.control") == []


async def test_a_drop_that_comes_during_a_redrive_is_carried_out_after_it(parked: Parked) -> None:
    coming: list[Order] = []

    @parked.app.on("analysis.*", policies=ONCE)
    async def notify(event: Event[AnalysisStarted], context: Context) -> None:
        if coming:
            parked.bench.lot.order(coming.pop())
        raise ValueError("no")

    await parked.processor().process(SOURCE, [parked.record("a", "1", 0)])
    letter = parked.letter
    coming.append(Order(app="team", letter_id=letter.id, kind=OrderKind.DROP))
    await parked.order(OrderKind.REDRIVE, letter)
    assert coming == []
    assert (parked.live("dlq.team"), parked.bench.lot.orders.letter_ids) == ([], ())


async def test_an_order_that_was_carried_out_is_not_carried_out_by_the_next_owner(
    parked: Parked,
) -> None:
    journal = parked.journal
    journal.failing = {"1"}
    parked.app.on("analysis.*", policies=ONCE)(journal.handle)
    await parked.processor().process(SOURCE, [parked.record("a", "1", 0)])
    owner, redoing = parked.bench.lot, parked.bench.redoing
    parked.processor()
    other, other_redoing = parked.bench.lot, parked.bench.redoing
    other.restore([], [TopicPartition(SOURCE.topic, 1)])
    order = Order(app="team", letter_id=parked.letter.id, kind=OrderKind.REDRIVE)
    for lot in (owner, other):
        take_order(lot, order.key, {"order": "redrive"})
    assert not await other_redoing.carry_out_orders()
    assert list(other.orders.letter_ids) == [order.letter_id]
    await carry_out(owner, redoing)
    (ended,) = parked.bench.log.topic("wundr.control")
    assert ended.value is None
    take_order(other, order.key, None)
    await parked.take_over()
    await carry_out(parked.bench.lot, parked.bench.redoing)
    assert (journal.tries, other.orders.letter_ids) == (["1", "1"], ())


async def carry_out(lot: ParkingLot, redoing: Redoing) -> None:
    """What an owner does about its orders."""
    await redoing.carry_out_orders()
    await redoing.redo_due()
    assert lot.orders.letter_ids == ()


@pytest.mark.parametrize("taker", ["batch", "table"])
async def test_a_record_that_is_redriven_overtakes_nothing_that_is_in_work(
    parked: Parked, taker: str
) -> None:
    journal = parked.journal
    journal.is_away = True
    parked.app.on(AnalysisStarted, batch=True)(journal.handle_all)
    parked.app.projection("seen", on=("*",), initial=dict)(journal.fold)
    first, second = parked.records("a", ["1", "2"])
    lane = open_lane(parked)
    lane.offer([first, second._replace(value=UNKNOWN)])
    await until(lambda: parked.bench.slept != [] and parked.live("dlq.team") != [])
    await parked.order(OrderKind.EDIT, parked.letter, second.value)
    await carry_on(parked)
    assert (journal.together, journal.tries) == ([], [])
    journal.is_away = False
    parked.bench.healed.set()
    await until(lambda: lane.committable == 2)
    await carry_on(parked)
    await lane.stop()
    taken = {"batch": journal.together, "table": parked.folded()}
    assert taken[taker] == ["1", "2"]
    assert (parked.live("dlq.team"), parked.bench.lot.orders.letter_ids) == ([], ())


async def test_a_drop_waits_until_the_event_will_not_be_read_again(parked: Parked) -> None:
    journal = parked.journal
    journal.failing, journal.is_away = {"1"}, True
    parked.app.on("analysis.*", policies=ONCE)(journal.handle)
    parked.app.on(AnalysisStarted, batch=True)(journal.handle_all)
    lane = open_lane(parked)
    lane.offer([parked.record("a", "1", 0)])
    await until(lambda: parked.bench.slept != [] and parked.live("dlq.team") != [])
    letter = parked.letter
    await parked.order(OrderKind.DROP, letter)
    await carry_on(parked)
    assert (parked.live("dlq.team"), parked.bench.lot.orders.letter_ids) == ([letter], (letter.id,))
    journal.is_away = False
    parked.bench.healed.set()
    await until(lambda: lane.committable == 1)
    await carry_on(parked)
    await lane.stop()
    assert (parked.live("dlq.team"), parked.bench.lot.orders.letter_ids) == ([], ())
    assert (journal.tries, journal.together) == (["1"], ["1"])


async def test_a_drop_that_was_not_carried_out_is_for_the_next_owner(parked: Parked) -> None:
    journal = parked.journal
    journal.failing, journal.is_away = {"1"}, True
    parked.app.on("analysis.*", policies=ONCE)(journal.handle)
    parked.app.on(AnalysisStarted, batch=True)(journal.handle_all)
    record = parked.record("a", "1", 0)
    lane = open_lane(parked)
    lane.offer([record])
    await until(lambda: parked.bench.slept != [] and parked.live("dlq.team") != [])
    await parked.order(OrderKind.DROP, parked.letter)
    orders = parked.bench.lot.orders.to_look_at()
    await lane.stop()
    journal.failing.clear()
    journal.is_away = False
    processor = await parked.take_over()
    for order in orders:
        parked.bench.lot.order(order)
    parked.bench.lot.committed = lambda _: 0
    assert await parked.bench.redoing.carry_out_orders()
    await asyncio.wait_for(processor.process(SOURCE, [record]), 10)
    parked.bench.lot.committed = lambda _: 1
    assert not await parked.bench.redoing.carry_out_orders()
    await parked.bench.redo()
    assert (journal.seen, journal.together) == ([], ["1"])
    assert (parked.live("dlq.team"), parked.bench.lot.orders.letter_ids) == ([], ())


@pytest.mark.parametrize("kind", [OrderKind.DROP, OrderKind.EDIT])
async def test_an_order_is_about_its_own_letter_though_a_try_ends_meanwhile(
    parked: Parked, kind: OrderKind
) -> None:
    journal, gate, going = parked.journal, asyncio.Event(), asyncio.Event()
    journal.failing = {"a1", "b1"}

    @parked.app.on("analysis.*", policies=ONCE)
    async def notify(event: Event[AnalysisStarted], context: Context) -> None:
        name = journal.judge(event)
        if name == "b1":
            going.set()
            await gate.wait()
        journal.seen.append(name)

    records = [parked.record(*it) for it in (("a", "a1", 0), ("b", "b1", 1), ("b", "b2", 2))]
    await parked.processor().process(SOURCE, records)
    first, second = (it for it in parked.live("dlq.team"))
    journal.failing.clear()
    lot, redoing = parked.bench.lot, parked.bench.redoing
    lot.order(Order(app="team", letter_id=second.id, kind=OrderKind.REDRIVE))
    await redoing.carry_out_orders()
    trying = asyncio.create_task(redoing.redo_due())
    await going.wait()
    send = lot.send

    async def send_while_the_try_ends(record: OutgoingRecord) -> Receipt:
        if record.key == first.id.encode():
            gate.set()
            await until(trying.done)
        return await send(record)

    lot.send = send_while_the_try_ends  # type: ignore[method-assign]  # the moment is the test
    value = second.record.value if kind is OrderKind.EDIT else None
    lot.order(Order(app="team", letter_id=first.id, kind=OrderKind.DROP))
    lot.order(Order(app="team", letter_id=second.id, kind=kind, value=value))
    await redoing.carry_out_orders()
    await carry_on(parked)
    assert journal.seen == ["b1", "b2"]
    assert (parked.live("dlq.team"), lot.orders.letter_ids) == ([], ())


async def park_many(parked: Parked, count: int) -> None:
    """So many aggregates, each with one event that has failed."""
    journal = parked.journal
    names = [str(number) for number in range(count)]
    journal.failing = {*names}
    parked.app.on("analysis.*", policies=ONCE)(journal.handle)
    await parked.processor().process(
        SOURCE, [parked.record(name, name, int(name)) for name in names]
    )


def drop_all(parked: Parked) -> None:
    """Order it of every letter."""
    for letter in parked.live("dlq.team"):
        parked.bench.lot.order(Order(app="team", letter_id=letter.id, kind=OrderKind.DROP))


async def test_what_is_dropped_is_written_down_together(parked: Parked) -> None:
    await park_many(parked, MANY)
    lot, waiting = parked.bench.lot, list[asyncio.Future[Acknowledgement]]()

    async def send_and_wait_for_all(record: OutgoingRecord) -> Receipt:
        promise = asyncio.get_running_loop().create_future()
        waiting.append(promise)
        if len(waiting) % MANY == 0:
            for one in waiting[-MANY:]:
                one.set_result(Acknowledgement("dlq.team", 0, 0))
        return Receipt(str(record.key), promise)

    lot.send = send_and_wait_for_all  # type: ignore[method-assign]  # see the name
    drop_all(parked)
    async with asyncio.timeout(10):
        await parked.bench.redoing.carry_out_orders()
    assert len(waiting) == 2 * MANY, "the letters, then the orders"
    assert lot.backlog == (0, 0, 0)


async def test_of_very_many_drops_some_are_left_for_the_next_look(
    parked: Parked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.parking.sorted_orders.BATCH_ENTRIES", 4)
    await park_many(parked, 10)
    lot, redoing = parked.bench.lot, parked.bench.redoing
    drop_all(parked)
    left = []
    for _ in range(3):
        await redoing.carry_out_orders()
        left.append(lot.backlog.parked)
    assert left == [6, 2, 0]
