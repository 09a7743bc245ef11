"""Events that cannot be handled, for whatever reason: they fail alone, and are kept whole."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from schemas.catalog import Catalog
from schemas.codec import Codec
from schemas.event import Event
from schemas.events.domain import AnalysisStarted
from schemas.framing import schema_id_of
from streams.app import App
from streams.context import BatchContext, Context
from streams.parking.letter import LetterState
from streams.parking.orders import OrderKind
from streams.policies import DeadLetter, Retry
from streams.records import RawRecord
from streams.serial_lane import SerialLane
from streams.turns import AtOnce
from tests.unit.schemas.personal_orders import order_catalog
from tests.unit.streams.parked import SOURCE, Parked, until

ONCE = (Retry(tries=1), DeadLetter())


class HungryJournal:
    """Takes events by their names; for some there is no memory."""

    def __init__(self, *hungry: str, waits: bool = False) -> None:
        self.hungry = set(hungry)
        self.waits = waits
        self.seen: list[str] = []

    def take(self, event: Event[Any]) -> str:
        """Its name. Raises MemoryError."""
        name = str(event.metadata.user_id)
        if name in self.hungry:
            raise MemoryError
        return name

    async def handle(self, event: Event[Any], context: Context) -> None:
        """A handler, which `waits` for something first."""
        if self.waits:
            await asyncio.sleep(0)
        self.seen.append(self.take(event))

    async def handle_all(self, batch: Sequence[Event[Any]], context: BatchContext) -> None:
        """A handler of batches."""
        self.seen += [self.take(event) for event in batch]

    def fold(self, state: dict[str, Any], event: Event[Any]) -> dict[str, Any]:
        """A fold."""
        return {"order": [*state.get("order", []), self.take(event)]}


async def worked(parked: Parked, records: Sequence[RawRecord]) -> None:
    """A lane has finished the records, and is alive."""
    lane = SerialLane(parked.processor(), AtOnce(), SOURCE, lambda: None)
    lane.offer(list(records))
    await until(lambda: lane.committable == records[-1].offset + 1)
    await lane.stop()


def aggregates(parked: Parked) -> list[RawRecord]:
    """Two events of one aggregate, and one of another."""
    return [parked.record(name[0], name, at) for at, name in enumerate(("a1", "a2", "b1"))]


@pytest.mark.parametrize("waits", [False, True])
async def test_an_event_that_its_handler_has_no_memory_for_fails_alone_and_is_kept_whole(
    parked: Parked, waits: bool
) -> None:
    journal = HungryJournal("a1", waits=waits)
    parked.app.on("analysis.*", policies=(Retry(tries=2, first_delay_s=0), DeadLetter()))(
        journal.handle
    )
    records = aggregates(parked)
    await worked(parked, records)
    assert journal.seen == ["b1"]
    assert [it.state for it in parked.live("retry.team")] == [
        LetterState.WAITING,
        LetterState.BEHIND,
    ]
    await parked.bench.redo()
    letter = parked.letter
    assert (letter.reason, letter.tries) == ("MemoryError", 2)
    assert letter.record == records[0]
    await parked.order(OrderKind.REDRIVE, letter)
    assert (parked.letter.reason, parked.letter.tries) == ("MemoryError", 3)
    journal.hungry.clear()
    await parked.order(OrderKind.REDRIVE, letter)
    assert journal.seen == ["b1", "a1", "a2"]
    assert (parked.live("dlq.team"), parked.live("retry.team")) == ([], [])


async def test_an_event_that_a_batch_has_no_memory_for_takes_no_other_with_it(
    parked: Parked,
) -> None:
    journal = HungryJournal("a1")
    parked.app.on(AnalysisStarted, batch=True, policies=ONCE)(journal.handle_all)
    await worked(parked, aggregates(parked))
    assert journal.seen == ["b1"]
    assert (parked.letter.reason, parked.bench.lot.backlog) == ("MemoryError", (0, 1, 1))
    journal.hungry.clear()
    await parked.order(OrderKind.REDRIVE, parked.letter)
    assert journal.seen == ["b1", "a1", "a2"]


async def test_an_event_that_a_fold_has_no_memory_for_waits_and_others_are_folded(
    parked: Parked,
) -> None:
    journal = HungryJournal("a1")
    parked.app.projection("seen", on=("*",), initial=dict)(journal.fold)
    await worked(parked, aggregates(parked))
    assert (parked.folded("Analysis/a"), parked.folded("Analysis/b")) == ([], ["b1"])
    assert (parked.letter.reason, parked.bench.lot.backlog) == ("MemoryError", (0, 1, 1))
    journal.hungry.clear()
    await parked.order(OrderKind.REDRIVE, parked.letter)
    assert parked.folded("Analysis/a") == ["a1", "a2"]


async def schema_is_gone(parked: Parked) -> None:
    """A dead letter, and one behind it, whose type and schema the next owner does not know."""
    parked.journal.failing = {"a1"}
    parked.app.on("analysis.*", policies=ONCE)(parked.journal.handle)
    await parked.processor().process(SOURCE, aggregates(parked))
    parked.journal.failing.clear()
    parked.bench.codec = Codec(order_catalog(), data_types={})
    await parked.take_over()


async def test_a_dead_letter_whose_schema_is_gone_fails_a_redrive_and_says_why(
    parked: Parked,
) -> None:
    await schema_is_gone(parked)
    before = parked.letter
    await asyncio.wait_for(parked.order(OrderKind.REDRIVE, before), 10)
    letter = parked.letter
    assert letter.reason == "schemas.unknown_schema_id"
    schema_id = schema_id_of(before.record.value or b"")
    assert letter.last_error == f"UnknownSchemaId: schema id {schema_id} is not known"
    assert (letter.id, letter.record) == (before.id, before.record)
    assert (letter.state, letter.tries) == (LetterState.PARKED, before.tries + 1)
    assert parked.bench.lot.backlog == (0, 1, 1)
    assert (parked.bench.lot.orders.letter_ids, parked.journal.seen) == ((), ["b1"])


async def test_a_dead_letter_whose_schema_is_back_is_redriven_into_its_place(
    parked: Parked, catalog: Catalog
) -> None:
    await schema_is_gone(parked)
    await parked.order(OrderKind.REDRIVE, parked.letter)
    parked.bench.codec = Codec(catalog)
    await parked.take_over()
    await parked.order(OrderKind.REDRIVE, parked.letter)
    assert parked.journal.seen == ["b1", "a1", "a2"]
    assert (parked.live("dlq.team"), parked.live("retry.team")) == ([], [])


async def test_a_dead_letter_whose_schema_is_gone_can_be_dropped(parked: Parked) -> None:
    await schema_is_gone(parked)
    await parked.order(OrderKind.DROP, parked.letter)
    behind = parked.letter
    assert (behind.record.offset, behind.reason) == (1, "schemas.unknown_schema_id")


@pytest.mark.parametrize("policies", [ONCE, (Retry(tries=9), DeadLetter())])
async def test_a_letter_of_a_type_that_nobody_handles_any_more_stays_and_says_why(
    parked: Parked, policies: tuple[Retry | DeadLetter, ...]
) -> None:
    parked.journal.failing = {"a1"}
    parked.app.on("analysis.*", name="notify", policies=policies)(parked.journal.handle)
    await parked.processor().process(SOURCE, aggregates(parked))
    (head, _) = parked.bench.lot.line(SOURCE).letters()
    parked.app = App("team")
    parked.app.on("order.*", name="other")(parked.journal.handle)
    await parked.take_over()
    await parked.order(OrderKind.REDRIVE, head)
    assert (parked.letter.id, parked.letter.reason) == (head.id, "streams.no_such_handler")
    assert parked.bench.lot.backlog == (0, 1, 1)
