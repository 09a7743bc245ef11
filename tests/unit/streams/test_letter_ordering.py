"""Orders reach the log at their pace, and what became of letters is told from the topics alone."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import orjson
import pytest

from schemas.topics import CONTROL_TOPIC, dead_letter_topic, retry_topic
from streams.memory.log import MemoryLog, MemorySender
from streams.memory.reader import MemoryReader
from streams.parking.errors import LetterNotRedriven
from streams.parking.letter import Letter, LetterState
from streams.parking.letters import Letters, LettersReading
from streams.parking.ordering import Ordered, Ordering, Outcome, Pacing, judge, order_record
from streams.parking.orders import Order, OrderKind
from streams.records import OutgoingRecord, RawRecord
from tests.unit.streams.failed_letters import APP, NOW, letter, write

TOPICS = (dead_letter_topic(APP), retry_topic(APP), CONTROL_TOPIC)
WAITING = LetterState.WAITING
LATER = NOW + timedelta(hours=1)


def order(about: Letter) -> Order:
    return Order(app=about.app, letter_id=about.id, kind=OrderKind.REDRIVE)


def letters_of(*records: OutgoingRecord) -> Letters:
    letters = Letters()
    for number, out in enumerate(records):
        letters.take(
            RawRecord(out.topic, out.partition or 0, number, 0, out.key, out.value, out.headers)
        )
    return letters


@pytest.mark.parametrize(
    ("records", "outcome"),
    [
        ([order(letter(1)).encode()], Outcome.ORDERED),
        ([order(letter(1)).encode(), order(letter(1)).ended()], Outcome.LEFT),
        ([order(letter(1)).encode(), letter(1).ended()], Outcome.DONE),
        ([letter(1, failed_at=LATER).encode(), order(letter(1)).encode()], Outcome.FAILED),
        ([letter(1, tries=4).encode()], Outcome.FAILED),
        ([letter(1, WAITING, failed_at=LATER).encode(), letter(1).ended()], Outcome.WAITING),
        ([letter(1, edited_at=LATER).encode(), order(letter(1)).encode()], Outcome.ORDERED),
    ],
)
def test_what_became_of_a_letter_is_what_the_topics_say(
    records: list[OutgoingRecord], outcome: Outcome
) -> None:
    letters = letters_of(letter(1).encode(), *records)
    assert judge(letter(1), letters).outcome is outcome


def test_a_letter_that_failed_again_has_the_new_error() -> None:
    again = letter(1, tries=4, last_error="KeyError: 'x'", reason="KeyError")
    now = judge(letter(1), letters_of(letter(1).encode(), again.encode())).now
    assert now is not None
    assert (now.reason, now.last_error) == ("KeyError", "KeyError: 'x'")


def test_an_order_is_addressed_to_the_worker_that_owns_the_letter() -> None:
    record = order_record(letter(1), OrderKind.EDIT, b"new")
    assert record.topic == CONTROL_TOPIC
    body = orjson.loads(record.value or b"")
    assert Order.decode((record.key or b"").decode(), body) == Order(
        app=APP, letter_id=letter(1).id, kind=OrderKind.EDIT, value=b"new"
    )


def test_the_platforms_worker_carries_out_orders_about_its_letters() -> None:
    route = letter(1, app="wundr", group="wundr.platform", handler="route", is_alone=True)
    assert order_record(route, OrderKind.DROP).topic == CONTROL_TOPIC
    assert order_record(route, OrderKind.REDRIVE).topic == CONTROL_TOPIC


def test_a_letter_of_the_sink_is_dropped_by_ending_it_and_never_redriven() -> None:
    stored = letter(1, app="wundr", group="wundr.sink", handler="store", is_alone=True)
    assert order_record(stored, OrderKind.DROP) == stored.ended()
    with pytest.raises(LetterNotRedriven, match=r"wundr\.sink"):
        order_record(stored, OrderKind.REDRIVE)


async def test_orders_are_given_at_a_bounded_rate() -> None:
    now, waits = [100.0], []

    async def sleep(seconds: float) -> None:
        waits.append(round(seconds, 3))
        now[0] += seconds

    log = MemoryLog()
    told: list[int] = []
    orders = [order(letter(offset)).encode() for offset in range(4)]
    ordering = Ordering(MemorySender(log), lambda: now[0])
    await ordering.send(orders, Pacing(2.0, lambda: now[0], sleep), told.append)
    assert waits == [0.5, 0.5, 0.5]
    assert told == [1, 2, 3, 4]
    assert len(log.topic(CONTROL_TOPIC)) == 4


async def test_without_a_rate_nobody_waits() -> None:
    async def sleep(_seconds: float) -> None:
        raise AssertionError("there is no limit")

    pacing = Pacing(None, lambda: 0.0, sleep)
    for _ in range(3):
        await pacing.turn()


class Worker:
    """Carries orders out as they are told: letters end, or fail once more."""

    def __init__(self, log: MemoryLog, *, failing: frozenset[int] = frozenset()) -> None:
        self._log = log
        self._failing = failing

    async def carry_out(self, letters: list[Letter]) -> None:
        for one in letters:
            await asyncio.sleep(0)
            if one.record.offset in self._failing:
                write(self._log, replace(one, tries=one.tries + 1, failed_at=LATER))
            else:
                write(self._log, one.ended())
            write(self._log, order(one).ended())


async def followed(
    log: MemoryLog, letters: list[Letter], worker: Worker | None, patience_s: float
) -> list[Ordered]:
    reading = LettersReading(MemoryReader(log, TOPICS), Letters())
    await reading.start()
    ordering = Ordering(MemorySender(log), asyncio.get_running_loop().time)
    records = [order_record(it, OrderKind.REDRIVE) for it in letters]
    await ordering.send(records, Pacing(None, lambda: 0.0))
    work = asyncio.create_task(worker.carry_out(letters)) if worker else None
    found = await ordering.follow(reading, letters, patience_s)
    if work is not None:
        await work
    return found


async def test_letters_are_followed_until_each_has_ended_or_failed_again() -> None:
    log, letters = MemoryLog(), [letter(offset) for offset in range(20)]
    write(log, *letters)
    found = await followed(log, letters, Worker(log, failing=frozenset({3, 7})), 30.0)
    outcomes = {it.before.record.offset: it.outcome for it in found}
    failed = [offset for offset, outcome in outcomes.items() if outcome is Outcome.FAILED]
    assert failed == [3, 7]
    assert len(outcomes) == 20
    assert set(outcomes.values()) == {Outcome.FAILED, Outcome.DONE}


async def test_orders_that_nobody_carries_out_are_waited_for_as_long_as_one_has_patience() -> None:
    log, letters = MemoryLog(), [letter(1), letter(2)]
    write(log, *letters)
    found = await followed(log, letters, None, 0.05)
    assert [it.outcome for it in found] == [Outcome.ORDERED, Outcome.ORDERED]
    assert len([it for it in log.topic(CONTROL_TOPIC) if it.value is not None]) == 2
