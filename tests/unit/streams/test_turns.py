"""Whose turn it is: shares by weight, CRITICAL at once, LOW never older than its bound."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.envelope import Priority
from streams.turns import SLICE_S, WEIGHTS, Shares, Turns

LOW, NORMAL, HIGH = "events.domain.low", "events.domain.normal", "events.domain.high"
CRITICAL = "events.system.critical"
PRIORITIES = st.sampled_from(sorted(WEIGHTS))


@given(costs=st.dictionaries(PRIORITIES, st.floats(0.001, 0.01), min_size=3, max_size=3))
def test_time_is_shared_by_weight_whatever_a_slice_of_each_costs(
    costs: dict[Priority, float],
) -> None:
    shares = Shares()
    spent: Counter[Priority] = Counter()
    while sum(spent.values()) < 10:
        chosen = shares.next(list(WEIGHTS))
        shares.charge(chosen, costs[chosen])
        spent[chosen] += costs[chosen]  # type: ignore[assignment]  # seconds, not counts
    for priority, weight in WEIGHTS.items():
        assert spent[priority] / 10 == pytest.approx(weight / sum(WEIGHTS.values()), abs=0.02)


def test_who_had_nothing_to_do_gets_no_credit_for_it() -> None:
    shares = Shares()
    for _ in range(1_000):
        shares.charge(shares.next([Priority.LOW]), 0.01)
    spent: Counter[Priority] = Counter()
    for _ in range(600):
        chosen = shares.next([Priority.HIGH, Priority.LOW])
        shares.charge(chosen, 0.01)
        spent[chosen] += 1
    assert spent[Priority.LOW] == pytest.approx(100, abs=3)


def test_low_that_is_overdue_gets_half_of_the_time_and_no_more() -> None:
    shares = Shares()
    spent: Counter[Priority] = Counter()
    for _ in range(1_000):
        chosen = shares.next(list(WEIGHTS), low_is_overdue=True)
        shares.charge(chosen, 0.01, low_is_overdue=True)
        spent[chosen] += 1
    assert spent[Priority.LOW] == pytest.approx(500, abs=2)
    assert spent[Priority.HIGH] > spent[Priority.NORMAL] > 0


class Clock:
    """A clock that is moved by hand."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


async def worked(turns: Turns, clock: Clock, topics: list[str], rounds: int) -> Counter[str]:
    """How often each topic had its turn when all want one all the time."""
    spent: Counter[str] = Counter()

    async def lane(topic: str) -> None:
        while sum(spent.values()) < rounds:
            await turns.turn(topic, since_ms=int(clock.now * 1000))
            spent[topic] += 1
            clock.now += SLICE_S

    async with asyncio.timeout(10):
        await asyncio.gather(*(lane(topic) for topic in topics))
    return spent


async def test_lanes_have_their_turns_by_priority() -> None:
    clock = Clock()
    spent = await worked(Turns(clock, clock), clock, [LOW, NORMAL, HIGH], 900)
    assert spent[HIGH] == pytest.approx(500, abs=5)
    assert spent[LOW] == pytest.approx(100, abs=5)


async def test_lanes_of_one_priority_take_turns() -> None:
    clock = Clock()
    spent = await worked(Turns(clock, clock), clock, [LOW, "events.system.low"], 100)
    assert spent[LOW] == pytest.approx(50, abs=1)


async def test_critical_never_waits() -> None:
    turns = Turns()
    waiting = asyncio.create_task(turns.turn(LOW, 0))
    await turns.turn(CRITICAL, 0)
    assert not waiting.done()
    await waiting


async def test_a_low_record_past_its_bound_goes_before_high() -> None:
    clock = Clock()
    turns = Turns(clock, clock, low_max_age_s=5)
    order: list[str] = []

    async def lane(topic: str, since_ms: int) -> None:
        await turns.turn(topic, since_ms)
        order.append(topic)

    now_ms = int(clock.now * 1000)
    await asyncio.gather(lane(HIGH, now_ms), lane(LOW, now_ms - 5_001))
    assert order == [LOW, HIGH]


async def test_a_slice_is_over_when_its_time_is_over() -> None:
    clock = Clock()
    turns = Turns(clock, clock)
    await turns.turn(LOW, 0)
    assert not turns.is_over()
    clock.now += 1.01 * SLICE_S
    assert turns.is_over()


async def test_who_was_cancelled_while_waiting_keeps_nobody_from_his_turn() -> None:
    turns = Turns()
    gone = asyncio.create_task(turns.turn(HIGH, 0))
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.wait_for(turns.turn(LOW, 0), 5)
