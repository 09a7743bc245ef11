"""Running handlers that take a batch of events.

A batch that fails is handled again event by event, so that one bad event does not take its
neighbours with it.
"""

from collections.abc import Sequence

from streams import deadline
from streams.attempts import Attempts, Failed
from streams.context import BatchContext
from streams.copies import Copies
from streams.errors import BreakerOpen
from streams.handler import BatchHandler
from streams.handling import Delivered, Handling
from streams.parking.lot import ParkingLot
from streams.receipt import Receipt
from streams.records import OutgoingRecord


class BatchHandling:
    """Runs one handler on one batch at a time."""

    def __init__(self, handling: Handling, attempts: Attempts, parking: ParkingLot) -> None:
        self._handling = handling
        self._attempts = attempts
        self._parking = parking
        self._copies = Copies()

    async def handle(
        self, handler: BatchHandler, batch: Sequence[Delivered], receipts: list[Receipt]
    ) -> None:
        """Run the handler; what it emitted is sent only when it has returned."""
        if handler.policies.remembers:
            batch = [it for it in batch if not self._copies.is_copy(handler, *it)]
        trial = _BatchTrial(self._handling, handler, batch)
        failed = await self._attempts.run_once(
            trial.run, waiting_for=f"handler {handler.name}", schedule=handler.retry
        )
        if failed is None:
            receipts += [await self._handling.send(emitted) for emitted in trial.emitted]
        elif len(batch) > 1:
            for delivered in batch:
                await self._handle_alone(handler, delivered, receipts)
        else:
            record = batch[0].record
            receipts += await self._parking.fail(handler.name, record, failed, handler.retry)

    async def redo(
        self, handler: BatchHandler, delivered: Delivered, receipts: list[Receipt]
    ) -> Failed | None:
        """Run the handler on one event that has failed before; see Handling.redo."""
        if handler.policies.remembers and self._copies.is_copy(handler, *delivered):
            return None
        trial = _BatchTrial(self._handling, handler, [delivered], is_in_order=False)
        failed = await self._attempts.run_once(
            trial.run, waiting_for=f"handler {handler.name}", schedule=handler.retry
        )
        if failed is None:
            receipts += [await self._handling.send(emitted) for emitted in trial.emitted]
        return failed

    async def _handle_alone(
        self, handler: BatchHandler, delivered: Delivered, receipts: list[Receipt]
    ) -> None:
        """Unless an earlier one of its aggregate has failed: then it waits behind that."""
        record = delivered.record
        if self._parking.line(record.source).holds(handler.name, record):
            receipts += await self._parking.follow(handler.name, record)
        else:
            await self.handle(handler, [delivered], receipts)


class _BatchTrial:
    """One handler and one batch; run again it emits the same."""

    def __init__(
        self,
        handling: Handling,
        handler: BatchHandler,
        batch: Sequence[Delivered],
        *,
        is_in_order: bool = True,
    ) -> None:
        self._encoded = handling.encoded if is_in_order else handling.encoded_late
        self._handling = handling
        self._handler = handler
        self._batch = batch
        self._has_run = False
        self.emitted: list[OutgoingRecord] = []

    async def run(self) -> None:
        handler, handling = self._handler, self._handling
        self.emitted = []
        if self._has_run:
            handling.metrics.retried(handler.name)
        self._has_run = True
        # Each event once: what a repeat emits would have other ids, at another place.
        taken: dict[str, Delivered] = {}
        for delivered in self._batch:
            if handler.can_handle(delivered.event):
                taken.setdefault(delivered.event.id, delivered)
        if not taken:
            return
        contexts = {
            name: (record, handling.context(handler.name, event))
            for name, (record, event) in taken.items()
        }
        context = BatchContext({name: own for name, (_, own) in contexts.items()})
        events = [event for _, event in taken.values()]
        try:
            with handling.metrics.trying(handler.name, events[0], len(events)):
                await deadline.complete(handler.function(events, context), handler.deadline_s)
                for record, own in contexts.values():
                    self.emitted += self._encoded(handler.name, record, own)
        except BreakerOpen:
            # What comes next takes its place.
            self._has_run = False
            raise
