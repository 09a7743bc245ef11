"""However much waits, memory and the turns of others are bounded, and a drain is short."""

from __future__ import annotations

import asyncio

import pytest

from schemas.event import Event
from schemas.events.domain import AnalysisStarted
from streams.context import Context
from streams.errors import LetterNotFound
from streams.parking.loading import load_entries
from streams.parking.orders import Order, OrderKind
from streams.policies import DeadLetter, Retry
from tests.unit.streams.parked import SOURCE, Parked, until

ONCE = (Retry(tries=1), DeadLetter())
MANY = [str(number) for number in range(100)]
LITTLE_BYTES = 300


def held_bytes(parked: Parked) -> int:
    """How large the values are that the lot has in memory."""
    line = parked.bench.lot.line(SOURCE)
    return sum(len(it.record.value or b"") for it in line.letters())


@pytest.mark.parametrize("failing", ["0", "5", "99"])
async def test_values_that_were_read_for_a_try_are_let_go_after_it(
    parked: Parked, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    monkeypatch.setattr("streams.parking.lot.HELD_BYTES", LITTLE_BYTES)
    journal = parked.journal
    journal.failing = {"0"}
    parked.app.on("analysis.*", policies=ONCE)(journal.handle)
    await parked.processor().process(SOURCE, parked.records("a", MANY))
    await parked.take_over()
    assert held_bytes(parked) <= LITTLE_BYTES
    journal.failing = {failing}
    await parked.order(OrderKind.REDRIVE, parked.letter)
    assert parked.letter.record.offset == int(failing)
    assert held_bytes(parked) <= LITTLE_BYTES


async def test_values_beyond_the_bound_are_left_where_they_are_when_letters_are_read(
    parked: Parked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.parking.loading.HELD_BYTES", LITTLE_BYTES)
    parked.journal.failing = {"0"}
    parked.app.on("analysis.*", policies=ONCE)(parked.journal.handle)
    await parked.processor().process(SOURCE, parked.records("a", MANY))
    entries = await load_entries(parked.fetcher, "team", "team.main", {0})
    assert len(entries) == len(MANY)
    assert 0 < sum(len(it.letter.record.value or b"") for it in entries) <= LITTLE_BYTES


async def test_values_are_read_ahead_no_further_than_the_bound(
    parked: Parked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.parking.lot.HELD_BYTES", LITTLE_BYTES)
    monkeypatch.setattr("streams.parking.loading.AHEAD_BYTES", LITTLE_BYTES)
    held: list[int] = []
    journal = parked.journal
    journal.failing = {"0"}

    @parked.app.on("analysis.*", policies=ONCE)
    async def notify(event: Event[AnalysisStarted], context: Context) -> None:
        journal.seen.append(journal.judge(event))
        ahead = list(parked.bench.lot.line(SOURCE).letters())[len(journal.seen) :]
        held.append(sum(len(it.record.value or b"") for it in ahead))

    await parked.processor().process(SOURCE, parked.records("a", MANY))
    await parked.take_over()
    journal.failing.clear()
    await parked.order(OrderKind.REDRIVE, parked.letter)
    assert journal.seen == MANY
    assert 0 < max(held) <= 2 * LITTLE_BYTES


async def test_a_head_that_was_tried_is_read_though_much_stands_before_it(
    parked: Parked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.parking.lot.HELD_BYTES", 0)
    monkeypatch.setattr("streams.parking.loading.AHEAD_BYTES", LITTLE_BYTES)
    parked.journal.failing = {"0"}
    parked.app.on("analysis.*", policies=(Retry(tries=9), DeadLetter()))(parked.journal.handle)
    await parked.processor().process(SOURCE, parked.records("a", MANY))
    parked.bench.lot.hasten()
    await parked.bench.redoing.redo_due()
    parked.journal.failing.clear()
    parked.journal.seen.clear()
    await parked.bench.redo()
    assert parked.journal.seen == MANY


async def test_letters_that_have_ended_take_no_room_when_letters_are_read(
    parked: Parked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.parking.loading.HELD_BYTES", LITTLE_BYTES)
    parked.app.on("analysis.*", policies=ONCE)(parked.journal.handle)
    parked.journal.failing = set(MANY)
    processor = parked.processor()
    for offset, name in enumerate(MANY[:20]):
        await processor.process(SOURCE, [parked.record("a", name, offset)])
        await parked.order(OrderKind.DROP, parked.letter)
    await processor.process(SOURCE, [parked.record("a", MANY[20], 20)])
    (entry,) = await load_entries(parked.fetcher, "team", "team.main", {0})
    assert entry.letter.record.value


async def test_a_letter_that_is_not_where_it_was_kept_is_told_and_not_taken_for_done(
    parked: Parked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.parking.lot.HELD_BYTES", 0)
    monkeypatch.setattr("streams.parking.redoing.AGAIN_S", 0)
    parked.app.on("analysis.*")(parked.journal.handle)
    parked.journal.failing = {"0"}
    await parked.processor().process(SOURCE, parked.records("a", MANY[:2]))
    await asyncio.sleep(0)
    line = parked.bench.lot.line(SOURCE)
    (sequence,) = line.blocked.values()
    assert sequence.head.kept_at is not None
    sequence.head.kept_at = sequence.head.kept_at._replace(offset=99)
    parked.bench.lot.hasten()
    with pytest.raises(LetterNotFound, match="no longer stands"):
        await parked.bench.redoing.redo_due()
    assert parked.bench.lot.backlog == (1, 0, 1)


async def test_orders_do_not_overtake_a_retry_that_is_due(
    parked: Parked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.parking.redoing.BATCH_ENTRIES", 4)
    journal = parked.journal
    ordered = MANY[:12]
    parked.app.on("analysis.*", policies=(Retry(tries=2, first_delay_s=0), DeadLetter()))(
        journal.handle
    )
    processor = parked.processor()
    journal.failing = {*ordered, "due"}
    await processor.process(SOURCE, [parked.record(it, it, int(it)) for it in ordered])
    await parked.bench.redo()
    letters = parked.live("dlq.team")
    assert len(letters) == len(ordered)
    await processor.process(SOURCE, [parked.record("due", "due", 50)])
    for letter in letters:
        parked.bench.lot.order(Order(app="team", letter_id=letter.id, kind=OrderKind.REDRIVE))
    journal.tries.clear()
    await parked.bench.redoing.carry_out_orders()
    assert await parked.bench.redoing.redo_due() == 4
    assert "due" in journal.tries


async def test_a_try_that_hangs_holds_up_no_other(parked: Parked) -> None:
    journal = parked.journal
    hung: list[str] = []

    @parked.app.on("analysis.*")
    async def notify(event: Event[AnalysisStarted], context: Context) -> None:
        name = journal.judge(event)
        if name.startswith("hang"):
            hung.append(name)
            await asyncio.Event().wait()
        journal.seen.append(name)

    names = ["hang 1", "hang 2", "hang 3", "quick"]
    journal.failing = set(names)
    records = [parked.record(name, name, at) for at, name in enumerate(names)]
    await parked.processor().process(SOURCE, records)
    journal.failing.clear()
    await parked.bench.redoing.begin([SOURCE])
    parked.bench.lot.hasten()
    await until(lambda: len(hung) == 3 and journal.seen == ["quick"])
    await until(lambda: len(parked.live("retry.team")) == 3)
    await parked.bench.redoing.close()


async def test_a_try_that_waits_for_an_outage_holds_up_no_other(parked: Parked) -> None:
    journal = parked.journal

    @parked.app.on("analysis.*")
    async def notify(event: Event[AnalysisStarted], context: Context) -> None:
        name = journal.judge(event)
        if name == "away":
            raise ConnectionError("for this one alone")
        journal.seen.append(name)

    journal.failing = {"away", "other"}
    processor = parked.processor()
    records = [parked.record(it, it, at) for at, it in enumerate(("away", "other"))]
    await processor.process(SOURCE, records)
    journal.failing.clear()
    await parked.bench.redoing.begin([SOURCE])
    parked.bench.lot.hasten()
    await until(lambda: parked.bench.slept != [] and journal.seen == ["other"])
    await processor.process(SOURCE, [parked.record("later", "later", 2)])
    await parked.bench.redoing.close()
    assert journal.seen == ["other", "later"]


async def test_a_drain_ends_with_the_event_in_work_and_nothing_done_is_repeated(
    parked: Parked,
) -> None:
    journal, gate = parked.journal, asyncio.Event()
    journal.failing = {"0"}

    @parked.app.on("analysis.*", policies=ONCE)
    async def notify(event: Event[AnalysisStarted], context: Context) -> None:
        name = journal.judge(event)
        if name == "10":
            await gate.wait()
        journal.seen.append(name)

    await parked.processor().process(SOURCE, parked.records("a", MANY))
    letter = parked.letter
    journal.failing.clear()
    await parked.bench.redoing.begin([SOURCE])
    parked.bench.lot.order(Order(app="team", letter_id=letter.id, kind=OrderKind.REDRIVE))
    await until(lambda: journal.tries[-1] == "10")
    drain = asyncio.create_task(parked.bench.redoing.drain(10))
    await asyncio.sleep(0)
    gate.set()
    await drain
    assert journal.seen == MANY[:11]
    await parked.bench.redoing.close()
    await parked.take_over()
    left = [it.record.offset for it in parked.bench.lot.line(SOURCE).letters()]
    assert left == list(range(11, 100))
