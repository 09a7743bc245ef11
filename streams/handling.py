"""Running the handlers of one subscription: tries, deadlines, and what they emit.

Most handlers neither wait nor emit nor fail: those are run to their end without a task, a timer or
an await.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from time import perf_counter
from typing import Any, NamedTuple, cast

from schemas.event import Event
from streams import deadline
from streams.attempts import Failed
from streams.context import Context, Emitter
from streams.copies import Copies
from streams.deadline import Suspended
from streams.edges import Edges
from streams.emission import EMISSION, Emission
from streams.errors import BreakerOpen
from streams.event_in_work import AT_WORK
from streams.guard import Guard
from streams.handler import Handler, every_event
from streams.reading import Viewed
from streams.receipt import Receipt
from streams.records import Origin, OutgoingRecord, RawRecord

Encode = Callable[[str, RawRecord, Context], tuple[OutgoingRecord, ...]]
"""Encodes what a try of a handler has emitted."""

Begin = Callable[[Handler, RawRecord, Event[Any]], Awaitable[list[Receipt]] | None]
"""Begins the work of a handler; see Handling.begin."""

IsCopy = Callable[[Handler, RawRecord, Event[Any]], bool]
"""Whether a handler leaves an event out; see Handling.is_copy."""


class Delivered(NamedTuple):
    """An event and the record that it was read from."""

    record: RawRecord
    event: Event[Any]


class Handling:
    """Runs one handler on one event at a time."""

    def __init__(self, app: str, edges: Edges, *, in_order: bool = True) -> None:
        """`in_order`: whether events of a partition are handled in the order of the log.

        Only then does the place of a cause say which emitted events came before.
        """
        self._app = app
        self._in_order = in_order
        self._publisher = edges.publisher
        self._factory = edges.factory
        self._attempts = edges.attempts
        self._parking = edges.parking
        self.metrics = edges.metrics
        self._emitters: dict[str, Emitter] = {}
        self._copies = Copies()

    def begin(
        self,
        is_copy: IsCopy | None,
        handler: Handler,
        record: RawRecord,
        event: Event[Any],
    ) -> Awaitable[list[Receipt]] | None:
        """Run the handler until it waits. None when it is done and has emitted nothing.

        `is_copy` is asked once the handler takes the event; None where there can be no copy.

        Else the rest of its work: it gives the receipts of what was sent, and it is sent only when
        the handler has returned.
        """
        guard: Guard | None = None
        began = 0.0
        try:
            if not handler.can_handle(event):
                return None
            if is_copy is not None and is_copy(handler, record, event):
                return None
            function = handler.function
            if isinstance(function, Guard) and function.is_calm:
                guard = function
                function, began = guard.function, guard.clock()
            AT_WORK.context = context = self.context(handler.name, event)
            suspended = deadline.run(function(event, context))
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001  # judged by Attempts
            if guard is not None:
                guard.judge(error, began)
            self.metrics.raised(handler.name, error)
            return self._again(handler, record, event, error)
        if suspended is None and not context.has_emitted:
            context.finish()
            return None
        if suspended is not None and guard is not None:
            suspended = deadline.run(guard.watch(suspended.rest, began))
        return self._finish(handler, record, context, suspended)

    def is_copy(self, handler: Handler, record: RawRecord, event: Event[Any]) -> bool:
        """Whether the handler leaves an event out: its id stood before in the same partition."""
        return handler.policies.remembers > 0 and self._copies.is_copy(handler, record, event)

    def are_new(
        self, handlers: Sequence[Handler], records: Sequence[RawRecord], viewed: Viewed
    ) -> bool:
        """Whether `is_copy` need not be asked of what one partition has brought.

        `handlers`: those that leave out copies. It must be asked where one chooses what it takes.
        """
        if not handlers:
            return True
        event_type = viewed.only_type
        if event_type is None or any(it.can_handle is not every_event for it in handlers):
            return False
        events = cast(Sequence[Event[Any]], viewed.events)
        wanting = [it for it in handlers if it.wants(event_type)]
        return all(self._copies.are_new(it, records, events) for it in wanting)

    def begin_timed(
        self, begin: Begin, stands_for: int, handler: Handler, record: RawRecord, event: Event[Any]
    ) -> Awaitable[list[Receipt]] | None:
        """Begin, and note how long the handler took if it did not wait, for so many events."""
        began = perf_counter()
        unfinished = begin(handler, record, event)
        if unfinished is None:
            self.metrics.ran(handler.name, perf_counter() - began, stands_for)
        return unfinished

    async def redo(
        self, handler: Handler, record: RawRecord, event: Event[Any], receipts: list[Receipt]
    ) -> Failed | None:
        """Run the handler on an event that has failed before; None once it succeeded.

        Other events of the partition came meanwhile, so what it emits has no place among theirs.
        """
        if self.is_copy(handler, record, event):
            return None
        trial = _Trial(self, handler, Delivered(record, event), self.encoded_late)
        failed = await self._attempts.run_once(
            trial.run, waiting_for=f"handler {handler.name}", schedule=handler.retry
        )
        if failed is None:
            receipts += [await self.send(outgoing) for outgoing in trial.emitted]
        return failed

    async def send(self, outgoing: OutgoingRecord) -> Receipt:
        """Send what a handler has emitted; the receipt belongs to the work of its cause."""
        return await self._publisher.send(outgoing)

    def context(self, handler: str, event: Event[Any]) -> Context:
        """A new try of a handler on an event."""
        emitter = self._emitters.get(handler)
        if emitter is None:
            emitter = self._emitters[handler] = Emitter(
                self._app, handler, self._factory, self.metrics.subscription
            )
        return Context(event, emitter)

    def encoded(
        self, handler: str, record: RawRecord, context: Context
    ) -> tuple[OutgoingRecord, ...]:
        """What the try has emitted, each with its place in the stream of the handler's events."""
        if not self._in_order:
            return self.encoded_late(handler, record, context)
        place = Origin(record.topic, record.partition, record.offset)
        return tuple(
            self._marked(new, Emission(self._app, handler, place, ordinal))
            for ordinal, new in enumerate(context.finish())
        )

    def encoded_late(
        self, handler: str, record: RawRecord, context: Context
    ) -> tuple[OutgoingRecord, ...]:
        """What a try has emitted that is out of the order of the partition: without a place."""
        return tuple(self._publisher.encode(new) for new in context.finish())

    async def _finish(
        self, handler: Handler, record: RawRecord, context: Context, suspended: Suspended | None
    ) -> list[Receipt]:
        """The rest of a first try."""
        try:
            with self.metrics.trying(handler.name, context.cause):
                if suspended is not None:
                    await suspended.finish(handler.deadline_s)
                emitted = self.encoded(handler.name, record, context)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001  # judged by Attempts
            return await self._again(handler, record, context.cause, error)
        return [await self.send(outgoing) for outgoing in emitted]

    async def _again(
        self, handler: Handler, record: RawRecord, event: Event[Any], error: BaseException
    ) -> list[Receipt]:
        """After a first try that has raised `error`."""
        AT_WORK.context = None
        trial = _Trial(self, handler, Delivered(record, event), self.encoded)
        trial.has_run = not isinstance(error, BreakerOpen)
        failed = await self._attempts.after_once(
            error, trial.run, waiting_for=f"handler {handler.name}", schedule=handler.retry
        )
        if failed is not None:
            return await self._parking.fail(handler.name, record, failed, handler.retry)
        return [await self.send(outgoing) for outgoing in trial.emitted]

    def _marked(self, event: Event[Any], emission: Emission) -> OutgoingRecord:
        encoded = self._publisher.encode(event)
        return encoded._replace(headers=(*encoded.headers, (EMISSION, emission.encode())))


class _Trial:
    """One handler and one event; run again it emits the same."""

    def __init__(
        self, handling: Handling, handler: Handler, delivered: Delivered, encode: Encode
    ) -> None:
        self._handling = handling
        self._handler = handler
        self._delivered = delivered
        self._encode = encode
        self.has_run = False
        self.emitted: tuple[OutgoingRecord, ...] = ()

    async def run(self) -> None:
        handler, handling = self._handler, self._handling
        record, event = self._delivered
        self.emitted = ()
        if self.has_run:
            handling.metrics.retried(handler.name)
        self.has_run = True
        try:
            with handling.metrics.trying(handler.name, event):
                if not handler.can_handle(event):
                    return
                context = handling.context(handler.name, event)
                await deadline.complete(handler.function(event, context), handler.deadline_s)
                self.emitted = self._encode(handler.name, record, context)
        except BreakerOpen:
            # What comes next takes its place.
            self.has_run = False
            raise
