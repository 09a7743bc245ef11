"""Running handlers that take a batch of events.

A batch that fails to the last try is handled again event by event, so that one bad event does not
take its neighbours with it.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from schemas.event import Event
from streams import deadline
from streams.attempts import Attempts
from streams.burial import Burial
from streams.context import BatchContext
from streams.handler import BatchHandler
from streams.handling import Handling
from streams.receipt import Receipt
from streams.records import OutgoingRecord, RawRecord


class Delivered(NamedTuple):
    """An event and the record that it was read from."""

    record: RawRecord
    event: Event[Any]


class BatchHandling:
    """Runs one handler on one batch at a time."""

    def __init__(self, handling: Handling, attempts: Attempts, burial: Burial) -> None:
        self._handling = handling
        self._attempts = attempts
        self._burial = burial

    async def handle(
        self, handler: BatchHandler, batch: Sequence[Delivered], receipts: list[Receipt]
    ) -> None:
        """Run the handler; what it emitted is sent only when it has returned."""
        trial = _BatchTrial(self._handling, handler, batch)
        failed = await self._attempts.run(trial.run, waiting_for=f"handler {handler.name}")
        if failed is None:
            receipts += [await self._handling.send(emitted) for emitted in trial.emitted]
        elif len(batch) > 1:
            for delivered in batch:
                await self.handle(handler, [delivered], receipts)
        else:
            receipts.append(await self._burial.bury(batch[0].record, failed, handler.name))


class _BatchTrial:
    """One handler and one batch; run again it emits the same."""

    def __init__(
        self, handling: Handling, handler: BatchHandler, batch: Sequence[Delivered]
    ) -> None:
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
        with handling.metrics.trying(handler.name, events[0], len(events)):
            await deadline.complete(handler.function(events, context), handler.deadline_s)
            for record, own in contexts.values():
                self.emitted += handling.encoded(handler.name, record, own)
