"""The letters that topics hold are found, the last of each key, and what is none is named."""

from __future__ import annotations

import tracemalloc
from collections.abc import Mapping
from dataclasses import replace

import pytest

from schemas.topics import CONTROL_TOPIC, dead_letter_topic, retry_topic
from streams.errors import TopicMissing
from streams.memory.log import MemoryLog
from streams.memory.reader import MemoryReader
from streams.parking.letter import Letter, LetterState
from streams.parking.letters import (
    MOST_FAULTS,
    Backlog,
    Counts,
    Letters,
    LettersReading,
    lean,
    letter_topics,
)
from streams.parking.orders import Order, OrderKind
from streams.records import OutgoingRecord, RawRecord, TopicPartition
from tests.unit.streams.failed_letters import APP, letter, record, write

DEAD, RETRY = dead_letter_topic(APP), retry_topic(APP)
PARKED, WAITING, BEHIND = LetterState.PARKED, LetterState.WAITING, LetterState.BEHIND


async def read(log: MemoryLog, *whole: str) -> Letters:
    reading = LettersReading(MemoryReader(log, (DEAD, RETRY, CONTROL_TOPIC)), Letters(whole))
    await reading.start()
    await reading.catch_up()
    return reading.letters


async def test_the_last_letter_of_a_key_counts_and_an_ended_one_is_gone() -> None:
    log = MemoryLog()
    failed_again = letter(1, tries=4)
    write(log, letter(1), letter(2), failed_again, letter(2).ended())
    letters = await read(log)
    assert letters.live() == [lean(failed_again)]
    assert letters.find(failed_again.id) == lean(failed_again)
    assert letters.find(letter(2).id) is None


async def test_a_letter_in_both_topics_counts_as_parked() -> None:
    log = MemoryLog()
    write(log, letter(1), letter(1, WAITING))
    assert [it.state for it in (await read(log)).live()] == [PARKED]


async def test_one_that_moved_back_among_those_tried_again_waits() -> None:
    log = MemoryLog()
    write(log, letter(1), letter(1, WAITING), letter(1).ended())
    letters = await read(log)
    assert [it.state for it in letters.live()] == [WAITING]
    found = letters.find(letter(1).id)
    assert found is not None
    assert found.state is WAITING


async def test_only_a_letter_that_is_asked_for_keeps_its_bytes() -> None:
    log = MemoryLog()
    asked, by_event, other = letter(1), letter(2), letter(3)
    write(log, asked, by_event, other)
    letters = await read(log, asked.id, "event-2")
    assert letters.live() == [asked, by_event, lean(other)]
    assert lean(other).record.value is None
    assert (lean(other).event_id, lean(other).event_type) == ("event-3", "order.placed")


async def test_what_is_no_letter_is_named_and_stops_nothing() -> None:
    log = MemoryLog()
    foreign = OutgoingRecord(DEAD, b"anything", b"bytes", (), 2)
    misnamed = letter(1).encode()._replace(key=letter(2).encode().key)
    write(log, foreign, misnamed, letter(3))
    letters = await read(log)
    assert [it.id for it in letters.live()] == [letter(3).id]
    assert [fault.split(":")[0] for fault in letters.faults()] == [
        f"{DEAD}/2/0 is no letter",
        f"{DEAD}/2/1 is no letter",
    ]


async def test_a_fault_that_was_ended_or_replaced_is_none_any_more() -> None:
    log = MemoryLog()
    broken = letter(1).encode()._replace(headers=())
    write(log, broken, letter(1), OutgoingRecord(DEAD, b"x", b"", (), 0))
    write(log, OutgoingRecord(DEAD, b"x", None, (), 0))
    letters = await read(log)
    assert letters.faults() == []
    assert [it.id for it in letters.live()] == [letter(1).id]


async def test_a_topic_full_of_strangers_fills_no_memory() -> None:
    log = MemoryLog()
    write(log, *(OutgoingRecord(DEAD, None, b"", (), 0) for _ in range(MOST_FAULTS + 7)))
    letters = await read(log)
    assert (len(letters.faults()), letters.unnamed_faults) == (MOST_FAULTS, 7)


async def test_an_order_is_known_until_it_was_carried_out() -> None:
    log = MemoryLog()
    orders = [
        Order(app=APP, letter_id=letter(offset).id, kind=OrderKind.REDRIVE) for offset in (1, 2)
    ]
    foreign = OutgoingRecord(CONTROL_TOPIC, b"breaker/team/smtp", b"{}")
    broken = OutgoingRecord(CONTROL_TOPIC, f"parking/{APP}/x".encode(), b"{}")
    write(log, *(it.encode() for it in orders), orders[0].ended(), foreign, broken)
    letters = await read(log)
    assert letters.order_about(letter(1).id) is None
    assert letters.order_about(letter(2).id) == orders[1]
    assert ["is no order" in fault for fault in letters.faults()] == [True]


async def test_reading_goes_on_where_it_was() -> None:
    log = MemoryLog()
    write(log, letter(1))
    reading = LettersReading(MemoryReader(log, (DEAD, RETRY)), Letters())
    await reading.start()
    told: list[tuple[int, int]] = []
    await reading.catch_up(lambda done, total: told.append((done, total)))
    assert told == [(1, 1)]
    write(log, letter(2), letter(1).ended())
    assert await reading.something_new(1.0)
    await reading.catch_up()
    assert [it.id for it in reading.letters.live()] == [letter(2).id]


async def test_a_hole_before_the_end_is_no_reason_to_wait_for_ever() -> None:
    class Hollow(MemoryReader):
        """The last records were removed by compaction."""

        async def end(self) -> Mapping[TopicPartition, int]:
            return {source: offset + 5 for source, offset in (await super().end()).items()}

        async def read(
            self, max_records: int = 500, timeout_s: float = 1.0
        ) -> Mapping[TopicPartition, list[RawRecord]]:
            return await super().read(max_records, 0.001)

    log = MemoryLog()
    write(log, letter(1))
    reading = LettersReading(Hollow(log, (DEAD,)), Letters())
    await reading.start()
    await reading.catch_up()
    assert len(reading.letters.live()) == 1


async def test_a_topic_that_is_not_there_is_said() -> None:
    log = MemoryLog(topics=(RETRY,))
    reading = LettersReading(MemoryReader(log, (DEAD,)), Letters())
    with pytest.raises(TopicMissing):
        await reading.start()


def test_the_topics_of_one_app_or_of_all() -> None:
    existing = {DEAD, RETRY, "dlq.team.a", "dlq.wundr", "events.domain.low"}
    assert letter_topics(existing, None) == ["dlq.team", "dlq.team.a", "dlq.wundr", RETRY]
    assert letter_topics(existing, APP) == [RETRY, DEAD]
    assert letter_topics(existing, "wundr") == ["dlq.wundr"]
    assert letter_topics(existing, "nobody") == []


def test_what_waits_behind_a_head_is_counted_by_its_sequence() -> None:
    other_key = record(20, key="Order/o2")
    head, alone = letter(1), letter(9, is_alone=True, record=record(9))
    letters = [
        head,
        letter(2, BEHIND),
        letter(3, BEHIND),
        letter(4, BEHIND, handler="count"),
        letter(20, WAITING, record=other_key),
        letter(21, BEHIND, record=other_key._replace(offset=21)),
        alone,
    ]
    backlog = Backlog(letters)
    assert backlog.counts == Counts(parked=2, waiting=1, behind=4)
    assert [backlog.count_behind(it) for it in backlog.heads()] == [2, 1, 0]
    assert [it.record.offset for it in backlog.behind(head)] == [2, 3]
    assert backlog.head_of(letters[2]) == head
    assert backlog.head_of(letters[3]) is None


def test_nothing_waits_behind_a_record_without_a_key() -> None:
    keyless = [letter(offset, record=record(offset, key=None)) for offset in (1, 2)]
    backlog = Backlog([*keyless, letter(3, BEHIND)])
    assert [backlog.count_behind(it) for it in keyless] == [0, 0]


def test_ten_thousand_letters_with_large_events_take_little_memory() -> None:
    letters, value = Letters(), b"x" * 100_000
    tracemalloc.start()
    for offset in range(10_000):
        kept = letter(offset, record=record(offset, value=value)).encode()
        letters.take(_kept(kept, offset))
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(letters.live()) == 10_000
    assert size < 30_000_000


def _kept(out: OutgoingRecord, offset: int) -> RawRecord:
    assert out.partition is not None
    made = record(offset)._replace(topic=out.topic, key=out.key, value=out.value)
    return made._replace(headers=out.headers, partition=out.partition)


def test_a_lean_letter_says_all_that_its_letter_says() -> None:
    kept = letter(1, WAITING)
    bare = lean(kept)
    assert replace(bare, record=kept.record) == kept
    assert isinstance(bare, Letter)
