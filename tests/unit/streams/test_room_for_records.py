"""Who waits for room in the sender's buffer gets it in turn, whoever else gives up waiting."""

from __future__ import annotations

import asyncio

import pytest

from streams.errors import BrokerUnavailable, DeliveryFailed
from streams.kafka.unacknowledged import Pending, Unacknowledged
from streams.records import OutgoingEntries
from tests.unit.streams.buffered import PLACE, record, taken, until_all_wait

TIMEOUT_S = 5.0


class Clock:
    """The loop's time, which a test puts forward."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        loop = asyncio.get_running_loop()
        self._ahead_s = 0.0
        time_of_loop = loop.time
        monkeypatch.setattr(loop, "time", lambda: time_of_loop() + self._ahead_s)

    async def forward(self, seconds: float) -> None:
        """What is due by then has happened."""
        self._ahead_s += seconds
        await asyncio.sleep(0)
        await until_all_wait()


class TimeLimits:
    """The time limits under which code waits, in the order in which it began to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._begun: list[asyncio.Timeout] = []
        begin = asyncio.timeout

        def noted(delay_s: float | None) -> asyncio.Timeout:
            self._begun.append(begin(delay_s))
            return self._begun[-1]

        monkeypatch.setattr(asyncio, "timeout", noted)

    def end(self, number: int) -> None:
        """Its time is over, from the next turn of the loop on."""
        self._begun[number].reschedule(0)


async def in_line(buffer: Unacknowledged, *names: str) -> list[asyncio.Task[Pending]]:
    """Senders that wait for room, one behind the other."""
    waiting = [asyncio.create_task(taken(buffer, record(name))) for name in names]
    await until_all_wait()
    assert not any(it.done() for it in waiting)
    return waiting


async def test_room_that_comes_as_a_wait_ends_in_vain_is_for_the_next_in_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limits = TimeLimits(monkeypatch)
    buffer = Unacknowledged(limit=1, timeout_s=TIMEOUT_S)
    first = buffer.take(record("e1"))
    late, next_one = await in_line(buffer, "late", "next")
    limits.end(0)
    buffer.acknowledge([first], *PLACE)
    await until_all_wait()
    assert isinstance(late.exception(), BrokerUnavailable)
    assert next_one.done(), "the turn of who gave up is lost"
    assert next_one.result().event_id == "next"
    buffer.stop()


async def test_room_that_comes_as_a_sender_is_cancelled_is_for_the_next_in_line() -> None:
    buffer = Unacknowledged(limit=1, timeout_s=TIMEOUT_S)
    first = buffer.take(record("e1"))
    cancelled, next_one = await in_line(buffer, "cancelled", "next")
    buffer.acknowledge([first], *PLACE)
    cancelled.cancel()
    await until_all_wait()
    assert cancelled.cancelled()
    assert next_one.done(), "the turn of who was cancelled is lost"
    assert next_one.result().event_id == "next"
    buffer.stop()


async def test_room_that_another_has_taken_is_waited_for_again() -> None:
    buffer = Unacknowledged(limit=1, timeout_s=TIMEOUT_S)
    first = buffer.take(record("e1"))
    (waiting,) = await in_line(buffer, "waiting")
    buffer.acknowledge([first], *PLACE)
    quicker = buffer.take(record("quicker"))
    await until_all_wait()
    assert not waiting.done()
    assert buffer.waiting == 1, "the buffer holds more than its limit"
    buffer.acknowledge([quicker], *PLACE)
    await until_all_wait()
    assert waiting.result().event_id == "waiting"
    buffer.stop()


async def test_who_was_cancelled_in_the_line_keeps_nobody_behind_from_room() -> None:
    buffer = Unacknowledged(limit=1, timeout_s=TIMEOUT_S)
    first = buffer.take(record("e1"))
    waiting, cancelled = await in_line(buffer, "waiting", "cancelled")
    cancelled.cancel()
    await until_all_wait()
    assert not waiting.done()
    buffer.acknowledge([first], *PLACE)
    await until_all_wait()
    assert waiting.done(), "room was offered to nobody but who was cancelled"
    buffer.stop()


async def test_each_record_is_given_up_at_its_own_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock(monkeypatch)
    buffer = Unacknowledged(limit=10, timeout_s=TIMEOUT_S)
    first = buffer.take(record("e1"))
    await clock.forward(3)
    second = buffer.take(record("e2"))
    await clock.forward(3)
    assert isinstance(first.promise.exception(), DeliveryFailed)
    assert not second.promise.done()
    await clock.forward(3)
    assert second.promise.done(), "nobody looks at deadlines after the first"
    assert buffer.lost_ids == ("e1", "e2")
    third = buffer.take(record("e3"))
    await clock.forward(TIMEOUT_S + 1)
    assert third.promise.done(), "nobody looks at what came after the buffer was empty"


async def test_a_record_that_is_acknowledged_after_it_was_given_up_counts_once() -> None:
    buffer = Unacknowledged(limit=10, timeout_s=None)
    late, in_time = buffer.take(record("e1")), buffer.take(record("e2"))
    buffer.give_up(late, DeliveryFailed("late"))
    buffer.acknowledge([late, in_time], *PLACE)
    assert (buffer.acknowledged, buffer.failed, buffer.waiting) == (1, 1, 0)
    assert isinstance(late.promise.exception(), DeliveryFailed)
    assert (await in_time.promise).offset == PLACE.offset + 1


def whole(count: int) -> OutgoingEntries:
    return OutgoingEntries("t", 0, [(b"k%d" % number, b"v") for number in range(count)])


def taken_whole(buffer: Unacknowledged, count: int) -> Pending:
    entries = whole(count)
    return buffer.take(next(entries.records()), entries)


async def test_entries_that_leave_as_one_make_room_for_as_many_as_they_were() -> None:
    buffer = Unacknowledged(limit=3, timeout_s=None)
    entries = taken_whole(buffer, 3)
    waiting = await in_line(buffer, "e1", "e2", "e3", "e4")
    buffer.acknowledge([entries], *PLACE)
    await until_all_wait()
    assert [it.done() for it in waiting] == [True, True, True, False]
    waiting[3].cancel()


async def test_what_leaves_a_buffer_that_holds_too_much_costs_nobody_its_place_in_line() -> None:
    buffer = Unacknowledged(limit=2, timeout_s=None)
    record_before, entries = buffer.take(record("e0")), taken_whole(buffer, 4)
    waiting = await in_line(buffer, "e1", "e2", "e3")
    buffer.acknowledge([record_before], *PLACE)
    await until_all_wait()
    buffer.acknowledge([entries], *PLACE)
    await until_all_wait()
    assert [it.done() for it in waiting] == [True, True, False]
    waiting[2].cancel()


async def test_a_turn_that_is_not_taken_is_the_next_ones() -> None:
    buffer = Unacknowledged(limit=1, timeout_s=None)
    first = buffer.take(record("e1"))
    idle = asyncio.create_task(buffer.room())
    await until_all_wait()
    (next_one,) = await in_line(buffer, "next")
    buffer.acknowledge([first], *PLACE)
    await idle
    assert not next_one.done()
    buffer.pass_on()
    await until_all_wait()
    assert next_one.done()


async def test_entries_that_are_not_delivered_count_as_many() -> None:
    buffer = Unacknowledged(limit=9, timeout_s=None)
    buffer.give_up(taken_whole(buffer, 3), DeliveryFailed())
    assert (buffer.failed, buffer.waiting) == (3, 0)
    buffer.withdraw(taken_whole(buffer, 4))
    assert (buffer.failed, buffer.waiting) == (7, 0)
