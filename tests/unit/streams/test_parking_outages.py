"""Where something is away, failed events wait for it, and the owner says what it cannot survive."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pytest

from schemas.event import Event
from streams.app import App
from streams.attempts import Attempts
from streams.context import Context
from streams.errors import BrokerUnavailable, InvalidHandler, LaneStopped, RecordRefused
from streams.memory.fetcher import MemoryFetcher
from streams.parking.letter import READ
from streams.parking.orders import OrderKind
from streams.parking.redoing import Redoing
from streams.policies import DeadLetter, Retry
from streams.records import ORIGIN, OutgoingRecord, RawRecord, TopicPartition
from streams.retry import RetrySchedule
from streams.runtime.patience import PatientSender
from tests.unit.streams.parked import SOURCE, Parked, until


async def test_an_outage_in_the_middle_of_a_fold_makes_no_dead_letter(parked: Parked) -> None:
    outages = [ConnectionError("the keys are away")] * 2
    has_begun = False
    parked.bench.healed.set()

    def fold(state: dict[str, Any], event: Event[Any]) -> dict[str, Any]:
        nonlocal has_begun
        has_begun = has_begun or event.metadata.user_id == "2"
        if has_begun and outages:
            raise outages.pop()
        return parked.journal.fold(state, event)

    rekeyed = parked.app.projection("seen", on=("*",), initial=dict, key=lambda event: event.key)
    rekeyed(fold)
    copies = [
        it._replace(
            topic="repartition.team.seen",
            headers=(*it.headers, (ORIGIN, f"events.x/0/{it.offset}".encode())),
        )
        for it in parked.records("a", ["1", "2", "3"])
    ]
    await parked.processor().process(copies[0].source, copies)
    assert parked.live("dlq.team") == []
    assert (outages, parked.folded()) == ([], ["1", "2", "3"])


async def test_a_letter_that_the_lane_has_not_sent_is_not_ended_before_it(parked: Parked) -> None:
    journal = parked.journal
    journal.failing = {"1"}
    parked.app.on("analysis.*")(journal.handle)
    is_away = [False]

    def before(record: OutgoingRecord) -> None:
        if is_away[0]:
            raise BrokerUnavailable("no leader")

    parked.sender.before = before
    patient = PatientSender(parked.sender, Attempts(RetrySchedule(), parked.bench.sleep))
    processor = parked.bench.processor(parked.app, sender=patient)
    first, second = parked.records("a", ["1", "2"])
    await processor.process(SOURCE, [first])
    is_away[0] = True
    lane = asyncio.create_task(processor.process(SOURCE, [second]))
    await until(lambda: parked.bench.slept != [])
    is_away[0] = False
    journal.failing.clear()
    await parked.bench.redo()
    assert journal.seen == ["1"]
    parked.bench.healed.set()
    await lane
    await parked.bench.redo()
    assert (journal.seen, parked.bench.lot.backlog) == (["1", "2"], (0, 0, 0))
    assert parked.live("retry.team") == []
    await parked.take_over()
    await parked.bench.redo()
    assert journal.seen == ["1", "2"]


async def test_an_edit_holds_after_a_redrive_that_an_outage_has_interrupted(
    parked: Parked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.parking.redoing.AGAIN_S", 0)
    journal = parked.journal
    journal.failing = {"1"}
    parked.app.on("analysis.*", policies=(Retry(tries=1), DeadLetter()))(journal.handle)
    await parked.processor().process(SOURCE, [parked.record("a", "1", 0)])
    mended = parked.record("a", "mended", 0)
    letter = parked.letter

    def before(record: OutgoingRecord) -> None:
        if record.topic == "dlq.team":
            raise BrokerUnavailable("away")

    parked.sender.before = before
    with pytest.raises(BrokerUnavailable):
        await parked.order(OrderKind.REDRIVE, letter)
    parked.sender.before = None
    await parked.order(OrderKind.EDIT, letter, mended.value)
    assert (journal.seen, parked.bench.lot.orders.letter_ids) == (["mended"], ())


async def test_a_letter_that_no_broker_will_take_ends_the_worker(parked: Parked) -> None:
    journal = parked.journal
    journal.failing = {"1"}
    parked.app.on("analysis.*", policies=(Retry(tries=2, first_delay_s=0), DeadLetter()))(
        journal.handle
    )
    processor = parked.processor()
    await processor.process(SOURCE, [parked.record("a", "1", 0)])

    def refuse(record: OutgoingRecord) -> None:
        if record.topic == "dlq.team":
            raise RecordRefused("it is too large")

    parked.sender.before = refuse
    failures: list[BaseException] = []
    redoing = Redoing(parked.bench.lot, processor, parked.fetcher, failures.append)
    await redoing.begin([SOURCE])
    parked.bench.lot.hasten()
    await until(lambda: failures != [])
    await redoing.close()
    assert isinstance(failures[0], RecordRefused)


class EscapingFetcher(MemoryFetcher):
    """A task of the client was cancelled, and says so to who waits for it."""

    async def fetch(
        self, sources: Collection[TopicPartition], max_records: int, timeout_s: float
    ) -> Mapping[TopicPartition, Sequence[RawRecord]]:
        """See PartitionFetcher."""
        raise asyncio.CancelledError


async def test_a_try_that_is_cancelled_from_within_ends_the_worker(
    parked: Parked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.parking.lot.HELD_BYTES", 1)
    journal = parked.journal
    journal.failing = {"1"}
    parked.app.on("analysis.*", policies=(Retry(tries=3), DeadLetter()))(journal.handle)
    processor = parked.processor()
    await processor.process(SOURCE, [parked.record("a", "1", 0)])
    is_begun = False

    def open_fetcher() -> MemoryFetcher:
        return EscapingFetcher(parked.bench.log) if is_begun else parked.fetcher()

    failures: list[BaseException] = []
    redoing = Redoing(parked.bench.lot, processor, open_fetcher, failures.append)
    await redoing.begin([SOURCE])
    is_begun = True
    parked.bench.lot.hasten()
    await until(lambda: failures != [])
    await redoing.close()
    assert [type(it) for it in failures] == [LaneStopped]


def test_no_handler_has_the_name_of_what_cannot_be_read() -> None:
    async def handle(event: Event[Any], context: Context) -> None:
        """Do nothing."""

    with pytest.raises(InvalidHandler):
        App("team").on("analysis.*", name=READ)(handle)


async def test_a_handler_named_read_that_fails_holds_up_no_other(parked: Parked) -> None:
    @parked.app.on("analysis.*")
    async def read(event: Event[Any], context: Context) -> None:
        raise ValueError("no")

    parked.app.on("analysis.*", name="other", order=9)(parked.journal.handle)
    await parked.processor().process(SOURCE, parked.records("a", ["1", "2"]))
    assert parked.journal.seen == ["1", "2"]
