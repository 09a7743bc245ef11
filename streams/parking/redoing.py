"""Trying again what waits: when it is due, or when somebody orders it, in order per aggregate.

Beside the lanes, so that nobody waits for it; one at a time, so that the tables of a partition
change as in its lane. Many sequences share the acknowledgements that each of them must wait for.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Final, Protocol

import structlog

from streams.attempts import Failed
from streams.errors import InfrastructureError, LaneStopped, NoSuchHandler
from streams.lane import STOP_S
from streams.log import PartitionFetcher
from streams.parking.letter import Letter, LetterState, source_of
from streams.parking.loading import load_entries, load_values
from streams.parking.lot import ParkingLot
from streams.parking.orders import Order, OrderKind
from streams.parking.sequences import Entry, Sequence
from streams.receipt import Acknowledgement, Receipt
from streams.records import OutgoingRecord, RawRecord, TopicPartition
from streams.retry import RetrySchedule

BATCH_ENTRIES: Final = 512
"""How many records are tried before their acknowledgements are awaited together."""

AGAIN_S: Final = 0.5
"""The pause after an outage."""

log = structlog.get_logger(__name__)


class Redo(Protocol):
    """Does the work of one handler on one record once more."""

    async def redo(self, handler: str, record: RawRecord, receipts: list[Receipt]) -> Failed | None:
        """None when it is done, once the receipts that it adds are kept.

        Raises NoSuchHandler. An outage is waited for.
        """
        ...

    def schedule_of(self, handler: str) -> RetrySchedule:
        """How often it is tried, and when."""
        ...


class _Outcome:
    """What came of trying a sequence: the entries that are done, and the one that is not."""

    def __init__(self, sequence: Sequence) -> None:
        self.sequence = sequence
        self.done: list[Entry] = []
        self.failed: tuple[Entry, Letter] | None = None


class Redoing:
    """Works on a parking lot from `begin` to `close`, and anew for each assignment."""

    def __init__(
        self,
        lot: ParkingLot,
        redo: Redo,
        open_fetcher: Callable[[], PartitionFetcher],
        on_failure: Callable[[BaseException], None],
    ) -> None:
        """`on_failure` is told what the subscription cannot go on with."""
        self._lot = lot
        self._redo = redo
        self._open_fetcher = open_fetcher
        self._on_failure = on_failure
        self._task: asyncio.Task[None] | None = None
        self._is_draining = False
        self._number = 0

    async def begin(self, sources: Collection[TopicPartition]) -> None:
        """Read what waits in these partitions, before anything else is read of them.

        Raises InfrastructureError. Nothing comes of it when they are asked back meanwhile.
        """
        self._number += 1
        number, lot = self._number, self._lot
        partitions = {source.partition for source in sources}
        entries = await load_entries(self._open_fetcher, lot.app, lot.group, partitions)
        if number != self._number:
            return
        lot.restore([it for it in entries if it.letter.record.source in sources], sources)
        self._is_draining = False
        self._task = asyncio.create_task(self._run(), name=f"redoing {lot.group}")
        self._task.add_done_callback(self._ended)

    async def drain(self, deadline_s: float) -> None:
        """Take up nothing more, and finish what is in work, for a bounded time."""
        self._number += 1
        self._is_draining = True
        self._lot.changed.set()
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=deadline_s)

    async def close(self) -> None:
        """End at once and forget: what is unfinished is for the next owner."""
        self._number += 1
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            _, alive = await asyncio.wait({task}, timeout=STOP_S)
            if alive:
                self._on_failure(LaneStopped("a handler that is tried again does not end"))
        self._lot.forget()

    async def redo_due(self) -> int:
        """Try what may be tried now, once; how many records that were."""
        due = self._lot.take_due(BATCH_ENTRIES)
        if not due:
            return 0
        outcomes = [_Outcome(sequence) for sequence in due]
        try:
            tried = await self._try_all(outcomes)
        except BaseException:
            for sequence in due:
                if sequence.is_in_work:
                    self._lot.put_back(sequence)
            raise
        return tried

    async def carry_out_orders(self) -> None:
        """Do what was ordered about letters that are ours; what is not theirs is left alone."""
        heads: dict[TopicPartition, Mapping[str, Sequence]] = {}
        for order in list(self._lot.orders.values()):
            topic, partition, _ = source_of(order.letter_id)
            line = self._lot.find_line(TopicPartition(topic, partition))
            if line is None:
                continue
            if line.source not in heads:
                heads[line.source] = line.heads()
            sequence = heads[line.source].get(order.letter_id)
            if sequence is None:
                log.info("an order came too late, or not for a head", letter=order.letter_id)
                await self._end(order)
            elif not sequence.is_in_work:
                await self._carry_out(order, sequence)

    async def _run(self) -> None:
        while not self._is_draining:
            try:
                self._lot.changed.clear()
                await self.carry_out_orders()
                if not await self.redo_due():
                    await self._until_something_is_due()
            except InfrastructureError as error:
                log.warning("trying again pauses", error=str(error))
                await asyncio.sleep(AGAIN_S)

    async def _until_something_is_due(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._lot.next_due_s()):
                await self._lot.changed.wait()

    async def _try_all(self, outcomes: list[_Outcome]) -> int:
        """Try each sequence, wait for what that has sent, and write down what came of it."""
        receipts: list[Receipt] = []
        room = BATCH_ENTRIES
        for number, outcome in enumerate(outcomes):
            most = max(1, room // (len(outcomes) - number))
            room -= await self._try(outcome, most, receipts)
        for receipt in receipts:
            await receipt
        await self._settle(outcomes)
        return BATCH_ENTRIES - room

    async def _try(self, outcome: _Outcome, most: int, receipts: list[Receipt]) -> int:
        """Try a sequence from its head on, until one fails; how many were tried."""
        sequence = outcome.sequence
        tried = list(sequence.entries)[:most]
        for number, entry in enumerate(tried):
            record = await self._whole(tried[number:], entry)
            failed = await self._once_more(entry.letter.handler, record, receipts)
            if failed is not None:
                schedule = self._redo.schedule_of(entry.letter.handler)
                letter = self._lot.failed_again(entry, failed, schedule)
                outcome.failed = (entry, replace(letter, record=record))
                return number + 1
            outcome.done.append(entry)
        return len(tried)

    async def _once_more(
        self, handler: str, record: RawRecord, receipts: list[Receipt]
    ) -> Failed | None:
        try:
            return await self._redo.redo(handler, record, receipts)
        except NoSuchHandler as error:
            return Failed(error=error, tries=1)

    async def _whole(self, ahead: list[Entry], entry: Entry) -> RawRecord:
        """The record with its bytes, which may have been left on Kafka; then the next ones, too."""
        if entry.letter.record.value is None:
            await load_values(self._open_fetcher, ahead)
        return entry.letter.record

    async def _settle(self, outcomes: list[_Outcome]) -> None:
        """Write down what came of it; what is parked ends first, as it stood first."""
        done = [entry.letter for outcome in outcomes for entry in outcome.done]
        await self._acknowledged([it.ended() for it in done if it.state is LetterState.PARKED])
        await self._acknowledged([it.ended() for it in done if it.state is not LetterState.PARKED])
        failed = [outcome.failed for outcome in outcomes if outcome.failed is not None]
        kept = await self._acknowledged([letter.encode() for _, letter in failed])
        moved = [entry.letter for entry, new in failed if entry.letter.topic != new.topic]
        await self._acknowledged([letter.ended() for letter in moved])
        for (entry, letter), place in zip(failed, kept, strict=True):
            self._lot.kept(entry, letter, place)
            self._lot.tell_failed(letter)
        for letter in done:
            self._lot.tell_done(letter)
        for outcome in outcomes:
            order = self._order_about(outcome)
            self._lot.release(outcome.sequence, outcome.done)
            if order is not None:
                await self._end(order)

    async def _acknowledged(self, records: list[OutgoingRecord]) -> list[Acknowledgement]:
        receipts = [await self._lot.send(record) for record in records]
        return [await receipt for receipt in receipts]

    def _order_about(self, outcome: _Outcome) -> Order | None:
        head = outcome.sequence.head.letter.id
        order = self._lot.orders.get(head)
        is_carried_out = outcome.sequence.is_ordered and order is not None
        return order if is_carried_out else None

    async def _carry_out(self, order: Order, sequence: Sequence) -> None:
        head = sequence.head
        if order.kind is OrderKind.DROP:
            await (await self._lot.send(head.letter.ended()))
            self._lot.tell_dropped(head.letter)
            self._lot.release(sequence, [head])
            await self._end(order)
            return
        if order.kind is OrderKind.EDIT and not sequence.is_ordered:
            record = head.letter.record._replace(value=order.value)
            edited = replace(head.letter, record=record, edited_at=self._lot.now())
            self._lot.kept(head, edited, await (await self._lot.send(edited.encode())))
        if not sequence.is_ordered:
            sequence.is_ordered = True
            self._lot.schedule(sequence)

    async def _end(self, order: Order) -> None:
        """An order that came meanwhile about the same letter is another one."""
        if self._lot.orders.get(order.letter_id) is order:
            del self._lot.orders[order.letter_id]
            await self._lot.send(order.ended())

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self._on_failure(task.exception() or LaneStopped("trying again has ended"))
