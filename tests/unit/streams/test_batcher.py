"""Batches by number and by time: nothing lost, nothing twice, each event's fate told."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import InvalidEventData
from schemas.event import Event
from streams.batcher import BatchLimits, EventBatcher
from streams.errors import (
    BrokerUnavailable,
    DeliveryFailed,
    InvalidBatchLimits,
    NotDelivered,
    RecordRefused,
)
from streams.receipt import Receipt
from tests.unit.streams.batching import ManualTime, ScriptedOutlet, settled
from tests.unit.streams.compressible import Orders

LIMITS = BatchLimits(events=3, interval_s=0.5, waiting=5)


@pytest.fixture
def orders() -> Orders:
    return Orders()


@pytest.fixture
def time() -> ManualTime:
    return ManualTime()


@pytest.fixture
async def outlet() -> ScriptedOutlet:
    return ScriptedOutlet()


@pytest.fixture
def batcher(outlet: ScriptedOutlet, time: ManualTime) -> EventBatcher:
    return EventBatcher(outlet, LIMITS, later=time.later)


async def test_a_batch_leaves_when_it_is_full(
    batcher: EventBatcher, outlet: ScriptedOutlet, orders: Orders, time: ManualTime
) -> None:
    receipts = [await batcher.publish(orders.placed()) for _ in range(2)]
    await settled()
    assert outlet.batches == []
    receipts.append(await batcher.publish(orders.placed()))
    assert [(await receipt).offset for receipt in receipts] == [0, 1, 2]
    assert outlet.batches == [["e0", "e1", "e2"]]
    assert time.pending == []


async def test_no_batch_is_larger_than_its_limit_and_others_go_on_between_two(
    batcher: EventBatcher, outlet: ScriptedOutlet, orders: Orders
) -> None:
    outlet.hold()
    for _ in range(LIMITS.waiting):
        await batcher.publish(orders.placed())
    waiting = asyncio.create_task(batcher.publish(orders.placed()))
    await settled()
    outlet.turns.release()
    await waiting
    assert outlet.batches == [["e0", "e1", "e2"]]
    outlet.let_through()
    await batcher.close()
    assert outlet.batches[1:] == [["e3", "e4"], ["e5"]]


async def test_a_batch_leaves_an_interval_after_its_first_event(
    batcher: EventBatcher, outlet: ScriptedOutlet, orders: Orders, time: ManualTime
) -> None:
    first = await batcher.publish(orders.placed())
    second = await batcher.publish(orders.placed())
    assert [plan.seconds for plan in time.pending] == [LIMITS.interval_s]
    assert not first.acknowledged
    time.pass_by()
    await asyncio.gather(first, second)
    assert outlet.batches == [["e0", "e1"]]
    assert time.pending == []


async def test_flush_hands_over_what_waits_and_does_nothing_without(
    batcher: EventBatcher, outlet: ScriptedOutlet, orders: Orders
) -> None:
    await batcher.flush()
    receipt = await batcher.publish(orders.placed())
    await batcher.flush()
    assert receipt.acknowledged
    assert outlet.batches == [["e0"]]


async def test_flush_waits_for_a_batch_that_is_on_its_way(
    batcher: EventBatcher, outlet: ScriptedOutlet, orders: Orders
) -> None:
    outlet.hold()
    receipts = [await batcher.publish(orders.placed()) for _ in range(3)]
    await settled()
    flushing = asyncio.create_task(batcher.flush())
    await settled()
    assert not flushing.done()
    outlet.let_through()
    await flushing
    assert all(receipt.acknowledged for receipt in receipts)


async def test_a_flush_that_is_given_up_loses_nothing(
    batcher: EventBatcher, outlet: ScriptedOutlet, orders: Orders
) -> None:
    outlet.hold()
    receipt = await batcher.publish(orders.placed())
    flushing = asyncio.create_task(batcher.flush())
    await settled()
    flushing.cancel()
    await settled()
    outlet.let_through()
    await receipt
    assert outlet.sent_ids == ["e0"]


async def test_who_publishes_into_a_full_batcher_waits_in_turn(
    batcher: EventBatcher, outlet: ScriptedOutlet, orders: Orders
) -> None:
    outlet.hold()
    for _ in range(LIMITS.waiting):
        await batcher.publish(orders.placed())
    late = [asyncio.create_task(batcher.publish(orders.placed())) for _ in range(3)]
    given_up = asyncio.create_task(batcher.publish(orders.placed()))
    await settled()
    assert not any(task.done() for task in late)
    given_up.cancel()
    outlet.let_through()
    receipts = await asyncio.gather(*late)
    await asyncio.gather(*receipts)
    assert outlet.sent_ids == [f"e{n}" for n in range(LIMITS.waiting + 3)]


async def test_a_bad_event_is_told_to_its_caller_and_its_neighbours_go_on(
    batcher: EventBatcher, outlet: ScriptedOutlet, orders: Orders
) -> None:
    outlet.invalid = {"e1"}
    receipts = [await batcher.publish(orders.placed()) for _ in range(3)]
    with pytest.raises(InvalidEventData, match=r"data\.step"):
        await receipts[1]
    await asyncio.gather(receipts[0], receipts[2])
    assert outlet.sent_ids == ["e0", "e2"]
    with pytest.raises(NotDelivered) as closed:
        await batcher.close()
    assert closed.value.event_ids == ("e1",)


async def test_a_record_that_the_log_refuses_takes_nothing_behind_it_along(
    batcher: EventBatcher, outlet: ScriptedOutlet, orders: Orders
) -> None:
    outlet.refused = {"e1"}
    receipts = [await batcher.publish(orders.placed()) for _ in range(3)]
    with pytest.raises(RecordRefused):
        await receipts[1]
    await asyncio.gather(receipts[0], receipts[2])
    assert outlet.sent_ids == ["e0", "e2"]


async def test_what_no_batch_could_carry_fails_and_is_named_at_close(
    batcher: EventBatcher, outlet: ScriptedOutlet, orders: Orders
) -> None:
    outlet.breaks_after = [1]
    receipts = [await batcher.publish(orders.placed()) for _ in range(3)]
    await receipts[0]
    for receipt in receipts[1:]:
        with pytest.raises(DeliveryFailed, match="no broker"):
            await receipt
    assert len(outlet.batches) == 1, "a broker that is away is asked once"
    with pytest.raises(NotDelivered) as closed:
        await batcher.close()
    assert closed.value.event_ids == ("e1", "e2")


async def test_an_event_that_was_sent_at_a_second_try_is_not_missing(
    batcher: EventBatcher, outlet: ScriptedOutlet, orders: Orders
) -> None:
    event = orders.placed()
    outlet.breaks_after = [0]
    await batcher.publish(event)
    await batcher.flush()
    await batcher.publish(event)
    await batcher.close()
    assert outlet.sent_ids == [event.id]


async def test_closing_hands_over_what_waits_and_takes_nothing_more(
    batcher: EventBatcher, outlet: ScriptedOutlet, orders: Orders
) -> None:
    outlet.hold()
    taken = [await batcher.publish(orders.placed()) for _ in range(LIMITS.waiting)]
    blocked = asyncio.create_task(batcher.publish(orders.placed()))
    await settled()
    closing = asyncio.create_task(batcher.close())
    await settled()
    assert not closing.done()
    outlet.let_through()
    await closing
    with pytest.raises(BrokerUnavailable, match="closed"):
        await blocked
    with pytest.raises(BrokerUnavailable, match="closed"):
        await batcher.publish(orders.placed())
    assert all(receipt.acknowledged for receipt in taken)


@pytest.mark.parametrize("changed", [{"events": 0}, {"interval_s": 0.0}, {"waiting": 2}])
def test_limits_that_cannot_work_are_refused(changed: dict[str, float]) -> None:
    with pytest.raises(InvalidBatchLimits):
        BatchLimits(**({"events": 3, "interval_s": 0.5, "waiting": 5} | changed))  # type: ignore[arg-type]


STEPS = st.lists(
    st.one_of(
        st.sampled_from(["o1", "o2", "o3", "invalid", "refused"]).map(
            lambda what: ("publish", what)
        ),
        st.integers(0, 3).map(lambda number: ("break", number)),
        st.sampled_from(["flush", "time", "let", "hold", "go on"]).map(lambda what: (what, None)),
    ),
    max_size=50,
)


@given(STEPS, st.integers(1, 4), st.integers(0, 3))
def test_whatever_happens_in_between_each_event_is_sent_once_in_order_or_named(
    steps: list[tuple[str, str | int | None]], size: int, room: int
) -> None:
    asyncio.run(
        Interleaving(BatchLimits(events=size, interval_s=1, waiting=size + room)).run(steps)
    )


class Interleaving:
    """Takes steps in any order, then closes, and holds what was sent against what was said."""

    def __init__(self, limits: BatchLimits) -> None:
        self.outlet, self.time, self.orders = ScriptedOutlet(), ManualTime(), Orders()
        self.batcher = EventBatcher(self.outlet, limits, later=self.time.later)
        self.published: list[Event[Any]] = []
        self.publishing: list[asyncio.Task[Receipt]] = []
        self.flushing: list[asyncio.Task[None]] = []

    async def run(self, steps: list[tuple[str, str | int | None]]) -> None:
        for step, what in steps:
            await self.take(step, what)
        await settled()
        self.outlet.let_through()
        await asyncio.gather(*self.flushing)
        closing = asyncio.create_task(self.batcher.close())
        outcomes = await asyncio.gather(*self.publishing, return_exceptions=True)
        (closed,) = await asyncio.gather(closing, return_exceptions=True)
        assert all(isinstance(outcome, Receipt | BrokerUnavailable) for outcome in outcomes)
        receipts = [outcome for outcome in outcomes if isinstance(outcome, Receipt)]
        named = set(closed.event_ids) if isinstance(closed, NotDelivered) else set()
        self.check(receipts, named)

    async def take(self, step: str, what: str | int | None) -> None:
        match step:
            case "publish":
                self.publish(str(what))
            case "break":
                self.outlet.breaks_after.append(int(what or 0))
            case "flush":
                self.flushing.append(asyncio.create_task(self.batcher.flush()))
            case "time":
                self.time.pass_by()
            case "let":
                self.outlet.turns.release()
            case "hold":
                self.outlet.hold()
            case _:
                await settled()

    def publish(self, what: str) -> None:
        event = self.orders.placed(what)
        self.published.append(event)
        if what == "invalid":
            self.outlet.invalid.add(event.id)
        elif what == "refused":
            self.outlet.refused.add(event.id)
        self.publishing.append(asyncio.create_task(self.batcher.publish(event)))

    def check(self, receipts: list[Receipt], named: set[str]) -> None:
        sent = self.outlet.sent_ids
        kept = {receipt.event_id for receipt in receipts if receipt.acknowledged}
        assert len(sent) == len(set(sent)), "something was sent twice"
        assert kept == set(sent)
        assert named == {receipt.event_id for receipt in receipts} - kept
        for key in {event.key for event in self.published}:
            mine = [event.id for event in self.outlet.sent if event.key == key]
            in_order = [event.id for event in self.published if event.key == key]
            assert mine == [event_id for event_id in in_order if event_id in kept]
