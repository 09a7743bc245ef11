"""Trying again what waits: when it is due, or when somebody orders it, in order per aggregate.

Beside the lanes, so that nobody waits for it, and never before the lane has finished what stands
before the head. Sequences are tried side by side, in bundles that share the acknowledgements which
each of them must wait for: one that hangs holds up its bundle and no other.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import Final, Protocol

import structlog

from streams.attempts import Failed
from streams.errors import InfrastructureError, LaneStopped, LetterNotFound, NoSuchHandler
from streams.lane import STOP_S
from streams.log import PartitionFetcher
from streams.parking.letter import Letter, LetterState
from streams.parking.loading import load_values, load_waiting
from streams.parking.lot import BATCH_ENTRIES, ParkingLot
from streams.parking.orders import Order
from streams.parking.sequences import Entry, Sequence
from streams.parking.sorted_orders import sorted_orders
from streams.receipt import Acknowledgement, Receipt
from streams.records import OutgoingRecord, RawRecord, TopicPartition
from streams.retry import RetrySchedule

BUNDLES: Final = 16
"""How many bundles are at work at a time."""

LOOK_S: Final = 0.2
"""How often it is looked whether an order can be carried out that has to wait."""

AGAIN_S: Final = 0.5
"""The pause after an outage."""

log = structlog.get_logger(__name__)


Reached = Callable[[TopicPartition], int | None]


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
        self._bundles: set[asyncio.Task[int]] = set()
        self._is_draining = False
        self._number = 0

    def keep_behind(self, finished: Reached, committed: Reached) -> None:
        """Say how far the lanes are: below which offset all is finished, and committed.

        None where that is not known yet. Without this, everything is taken for finished.
        """
        self._lot.finished, self._lot.committed = finished, committed

    async def begin(self, sources: Collection[TopicPartition]) -> None:
        """Take up what waits in these partitions, before anything else is read of them, and work.

        Raises InfrastructureError. Nothing comes of it when they are asked back meanwhile.
        """
        if not await self.take_up(sources):
            return
        self._is_draining = False
        self._task = asyncio.create_task(self._run(), name=f"redoing {self._lot.group}")
        self._task.add_done_callback(self._ended)

    async def take_up(self, sources: Collection[TopicPartition]) -> bool:
        """Read what waits in these partitions; False when they were asked back meanwhile.

        Raises InfrastructureError.
        """
        self._number += 1
        number, lot = self._number, self._lot
        partitions = {source.partition for source in sources}
        waiting = await load_waiting(self._open_fetcher, lot.app, lot.group, partitions)
        if number != self._number:
            return False
        ours = [it for it in waiting.entries if it.letter.record.source in sources]
        lot.restore(ours, sources)
        # What was about to move is where it was going. Were that not kept before it is dropped
        # there, it would come back, after what stands behind it.
        moved = [letter for letter in waiting.moved if letter.record.source in sources]
        await self._acknowledged([letter.ended() for letter in moved])
        return number == self._number

    async def drain(self, deadline_s: float) -> None:
        """Take up nothing more, and finish the records that are in work, for a bounded time."""
        self._number += 1
        self._is_draining = True
        self._lot.changed.set()
        if self._task is not None:
            await asyncio.wait({self._task, *self._bundles}, timeout=deadline_s)

    async def close(self) -> None:
        """End at once and forget: what is unfinished is for the next owner."""
        self._number += 1
        task, self._task = self._task, None
        tasks = {*self._bundles, *(() if task is None else (task,))}
        for it in tasks:
            it.cancel()
        if tasks:
            _, alive = await asyncio.wait(tasks, timeout=STOP_S)
            if alive:
                self._on_failure(LaneStopped("a handler that is tried again does not end"))
        self._bundles.clear()
        self._lot.forget()

    async def redo_due(self) -> int:
        """Try what may be tried now, once; how many records that were."""
        return await self._bundle(self._lot.take_due(BATCH_ENTRIES))

    async def carry_out_orders(self) -> bool:
        """Do what was ordered about heads that are ours; whether some of it has to wait.

        What is to be dropped or edited is in work from here on, so that its head stays the one that
        was ordered about, and is written down together: nobody else's try waits for each of them.
        """
        found = sorted_orders(self._lot)
        for order, sequence in found.redriven:
            self._accept(order, sequence)
            self._lot.schedule(sequence)
        for _, sequence in (*found.dropped, *found.edited):
            sequence.is_in_work = True
        try:
            await self._edit(found.edited)
            await self._drop([sequence for _, sequence in found.dropped])
        finally:
            for _, sequence in (*found.dropped, *found.edited):
                if sequence.is_in_work:
                    self._lot.put_back(sequence)
        await self._end([*found.late, *(order for order, _ in found.dropped)])
        if found.is_full:
            self._lot.changed.set()
        return found.has_waiting

    async def _run(self) -> None:
        while not self._is_draining:
            try:
                self._lot.changed.clear()
                has_waiting = await self.carry_out_orders()
                self._begin_bundles()
                await self._until_something_is_due(has_waiting)
            except InfrastructureError as error:
                log.warning("trying again pauses", error=str(error))
                await asyncio.sleep(AGAIN_S)

    def _begin_bundles(self) -> None:
        room = BUNDLES - len(self._bundles)
        due = self._lot.take_due(BATCH_ENTRIES) if room else []
        size = -(-len(due) // room) if due else 1
        for begin in range(0, len(due), size):
            bundle = asyncio.create_task(self._bundle(due[begin : begin + size]), name="redo")
            self._bundles.add(bundle)
            bundle.add_done_callback(self._bundle_ended)

    async def _until_something_is_due(self, has_waiting: bool) -> None:  # noqa: FBT001  # a fact
        due_s = self._lot.next_due_s() if len(self._bundles) < BUNDLES else None
        wait_s = min(due_s or LOOK_S, LOOK_S) if has_waiting else due_s
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._lot.changed.wait()

    async def _bundle(self, due: Collection[Sequence]) -> int:
        """Try each sequence, wait for what that has sent, and write down what came of it."""
        outcomes = [_Outcome(sequence) for sequence in due]
        receipts: list[Receipt] = []
        room = BATCH_ENTRIES
        try:
            for number, outcome in enumerate(outcomes):
                most = max(1, room // (len(outcomes) - number))
                room -= await self._try(outcome, most, receipts)
            for receipt in receipts:
                await receipt
            await self._settle(outcomes)
        except BaseException as error:
            if isinstance(error, InfrastructureError):
                await asyncio.sleep(AGAIN_S)
            for sequence in due:
                if sequence.is_in_work:
                    self._lot.put_back(sequence)
            raise
        return BATCH_ENTRIES - room

    async def _try(self, outcome: _Outcome, most: int, receipts: list[Receipt]) -> int:
        """Try a sequence from its head on, until one fails; how many were tried."""
        tried = list(islice(outcome.sequence.entries, most))
        for number, entry in enumerate(tried):
            if self._is_draining or not entry.is_sent:
                return number
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
        """The record with its bytes, which may have been left on Kafka; then the next ones, too.

        Raises LetterNotFound.
        """
        if entry.letter.record.value is None:
            await load_values(self._open_fetcher, ahead)
        if entry.letter.record.value is None:
            raise LetterNotFound(f"{entry.letter.id} no longer stands at {entry.kept_at}")
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
        orders = [
            outcome.sequence.order
            for outcome in outcomes
            if outcome.sequence.order is not None and (outcome.done or outcome.failed)
        ]
        for outcome in outcomes:
            if outcome.done or outcome.failed:
                self._lot.release(outcome.sequence, outcome.done)
            else:
                self._lot.put_back(outcome.sequence)
        await self._end(orders)

    async def _acknowledged(self, records: list[OutgoingRecord]) -> list[Acknowledgement]:
        receipts = [await self._lot.send(record) for record in records]
        return [await receipt for receipt in receipts]

    def _accept(self, order: Order, sequence: Sequence) -> None:
        """The head is to be tried by this order."""
        sequence.order = order
        self._lot.orders.look_away(order)

    async def _edit(self, edited: Collection[tuple[Order, Sequence]]) -> None:
        """Keep other bytes for heads, and have them tried with these."""
        letters = [
            replace(
                sequence.head.letter,
                record=sequence.head.letter.record._replace(value=order.value),
                edited_at=self._lot.now(),
            )
            for order, sequence in edited
        ]
        kept = await self._acknowledged([letter.encode() for letter in letters])
        for (order, sequence), letter, place in zip(edited, letters, kept, strict=True):
            self._lot.kept(sequence.head, letter, place)
            self._accept(order, sequence)

    async def _drop(self, sequences: Collection[Sequence]) -> None:
        await self._acknowledged([sequence.head.letter.ended() for sequence in sequences])
        for sequence in sequences:
            head = sequence.head
            self._lot.tell_dropped(head.letter)
            self._lot.release(sequence, [head])

    async def _end(self, orders: Iterable[Order]) -> None:
        """An order that came meanwhile about the same letter is another one."""
        ended = [order for order in orders if self._lot.orders.holds(order)]
        try:
            await self._acknowledged([order.ended() for order in ended])
        except BaseException:
            self._lot.orders.look_again()
            raise
        for order in ended:
            if self._lot.orders.holds(order):
                self._lot.order_taken_back(order.letter_id)

    def _bundle_ended(self, task: asyncio.Task[int]) -> None:
        self._bundles.discard(task)
        self._lot.changed.set()
        is_ending = self._task is None or self._is_draining
        error = None if task.cancelled() else task.exception()
        if isinstance(error, InfrastructureError):
            log.warning("trying again pauses", error=str(error))
        elif error is not None:
            self._on_failure(error)
        elif task.cancelled() and not is_ending:
            self._on_failure(LaneStopped("a try was cancelled from within"))

    def _ended(self, task: asyncio.Task[None]) -> None:
        if task is not self._task or self._is_draining:
            return
        error = None if task.cancelled() else task.exception()
        self._on_failure(error or LaneStopped("trying again has ended by itself"))
