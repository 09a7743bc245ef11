"""The sender's buffer: bounded, in order, and it names what was not acknowledged."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from streams.errors import BrokerUnavailable, DeliveryFailed
from streams.kafka.unacknowledged import Unacknowledged
from streams.receipt import Receipt
from tests.unit.streams.buffered import PLACE, record, taken, until_all_wait


def timers() -> int:
    """How many time limits the loop watches."""
    loop: Any = asyncio.get_running_loop()
    return sum(not timer.cancelled() for timer in loop._scheduled)


async def test_an_acknowledged_record_resolves_its_promise_and_makes_room() -> None:
    buffer = Unacknowledged(limit=1, timeout_s=5)
    first = await taken(buffer, record("e1"))
    waiting = asyncio.create_task(taken(buffer, record("e2")))
    await until_all_wait()
    assert not waiting.done()
    buffer.acknowledge([first], *PLACE)
    assert await first.promise == PLACE
    second = await asyncio.wait_for(waiting, 5)
    assert second.event_id == "e2"
    buffer.stop()


async def test_a_full_buffer_refuses_after_a_bounded_wait() -> None:
    buffer = Unacknowledged(limit=1, timeout_s=None)
    await taken(buffer, record("e1"))
    bounded = Unacknowledged(limit=0, timeout_s=0.01)
    with pytest.raises(BrokerUnavailable, match="0 records wait"):
        await taken(bounded, record("e2"))


async def test_without_a_time_limit_a_full_buffer_waits() -> None:
    limits = timers()
    buffer = Unacknowledged(limit=1, timeout_s=None)
    first = await taken(buffer, record("e1"))
    waiting = asyncio.create_task(taken(buffer, record("e2")))
    await until_all_wait()
    assert not waiting.done()
    assert timers() == limits, "something would end the wait"
    buffer.acknowledge([first], *PLACE)
    second = await asyncio.wait_for(waiting, 5)
    assert second.event_id == "e2"


async def test_what_is_not_acknowledged_in_time_fails_with_an_unknown_outcome() -> None:
    buffer = Unacknowledged(limit=10, timeout_s=0.01)
    pending = await taken(buffer, record("e1"))
    with pytest.raises(DeliveryFailed, match=r"e1 .* whether the broker has it is not known"):
        await Receipt(pending.event_id, pending.promise)
    assert buffer.lost_ids == ("e1",)


async def test_a_late_acknowledgement_takes_the_event_off_the_list_of_the_lost() -> None:
    buffer = Unacknowledged(limit=10, timeout_s=0.01)
    pending = await taken(buffer, record("e1"))
    await buffer.settle()
    assert list(buffer.lost_ids) == ["e1"]
    buffer.acknowledge([pending], *PLACE)
    assert not list(buffer.lost_ids)


async def test_an_acknowledged_copy_does_not_hide_that_another_is_missing() -> None:
    buffer = Unacknowledged(limit=10, timeout_s=None)
    lost, delivered = [await taken(buffer, record("e1")) for _ in range(2)]
    buffer.give_up(lost, DeliveryFailed())
    buffer.acknowledge([delivered], *PLACE)
    assert buffer.lost_ids == ("e1",)


async def test_a_copy_in_another_topic_does_not_hide_that_one_is_missing() -> None:
    buffer = Unacknowledged(limit=10, timeout_s=None)
    buffer.give_up(await taken(buffer, record("e1")), DeliveryFailed())
    buffer.acknowledge([await taken(buffer, record("e1")._replace(topic="dlq.team"))], *PLACE)
    assert buffer.lost_ids == ("e1",)


async def test_publishing_an_event_again_makes_up_for_what_was_given_up() -> None:
    buffer = Unacknowledged(limit=10, timeout_s=None)
    for _ in range(2):
        buffer.give_up(await taken(buffer, record("e1")), DeliveryFailed())
    assert list(buffer.lost_ids) == ["e1"]
    buffer.acknowledge([await taken(buffer, record("e1"))], *PLACE)
    assert not list(buffer.lost_ids)


async def test_giving_up_names_events_in_order_and_nothing_that_is_no_event() -> None:
    buffer = Unacknowledged(limit=10, timeout_s=5)
    all_taken = [await taken(buffer, record(event_id)) for event_id in ("e1", None, "e2", "e3")]
    buffer.acknowledge([all_taken[2]], *PLACE)
    buffer.give_up_all()
    buffer.stop()
    assert buffer.lost_ids == ("e1", "e3")
    with pytest.raises(DeliveryFailed, match=r"t:k was not acknowledged"):
        await all_taken[1].promise


async def test_a_successor_gets_what_a_client_was_given_in_order() -> None:
    buffer = Unacknowledged(limit=10, timeout_s=5)
    all_taken = [await taken(buffer, record(f"e{n}")) for n in range(4)]
    for pending in (all_taken[0], all_taken[1], all_taken[3]):
        pending.handed_over = True
    buffer.acknowledge([all_taken[1]], *PLACE)
    assert buffer.handed_over() == [all_taken[0], all_taken[3]]
    buffer.stop()


async def test_a_withdrawn_record_is_not_lost() -> None:
    buffer = Unacknowledged(limit=1, timeout_s=5)
    buffer.withdraw(await taken(buffer, record("e1")))
    await asyncio.wait_for(taken(buffer, record("e2")), 5)
    assert buffer.lost_ids == ()
    buffer.stop()
