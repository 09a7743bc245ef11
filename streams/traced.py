"""What a process is put together from, each with its span; without tracing they stay as they are.

Publishing, the handlers and the sending of their events form one trace: the span of a publish is
the one that the record's `traceparent` names, a handler is its child, and what it emits are
children of the handler. A try that is repeated has a span of its own.
"""

from collections.abc import Awaitable, Generator, Sequence
from contextvars import Context as Variables
from dataclasses import replace
from types import coroutine
from typing import Any, Final

from schemas.event import Event
from schemas.headers import (
    CE_ID,
    CE_TYPE,
    TRACEPARENT,
    TraceContext,
    is_trace_id,
    read_traceparent,
    trace_context,
)
from streams.context import BatchContext, Context
from streams.entry_sending import send_whole
from streams.handler import BatchHandler, BatchHandlerFunction, Handler, HandlerFunction
from streams.log import RecordSender
from streams.receipt import Receipt
from streams.records import OutgoingEntries, OutgoingRecord, first_header
from streams.tracing import Span, SpanKind, SpanPlan, Tracing
from streams.workload import Workload

EVENTS: Final = "events."


def traced_workload(workload: Workload, tracing: Tracing | None) -> Workload:
    """The workload with a span for each try of a handler; the same one without tracing."""
    if tracing is None:
        return workload
    return replace(
        workload,
        handlers=tuple(
            replace(known, function=_traced_function(known, workload.group, tracing))
            for known in workload.handlers
        ),
        batch_handlers=tuple(
            replace(known, function=_traced_batch_function(known, workload.group, tracing))
            for known in workload.batch_handlers
        ),
    )


def traced_sender(sender: RecordSender, tracing: Tracing | None) -> RecordSender:
    """The sender with a span for each event that is published; the same one without tracing."""
    return sender if tracing is None else TracedSender(sender, tracing)


class TracedSender:
    """Implements RecordSender on another one; the span lasts until the receipt is kept or broken.

    Copies, dead letters and schemas have no span: they are no publish.
    """

    def __init__(self, sender: RecordSender, tracing: Tracing) -> None:
        self._sender = sender
        self._tracing = tracing

    async def send(self, record: OutgoingRecord) -> Receipt:
        """See RecordSender."""
        own = read_traceparent(first_header(record.headers, TRACEPARENT))
        if own is None or not record.topic.startswith(EVENTS):
            return await self._sender.send(record)
        span = self._begun(record, own)
        try:
            receipt = await self._sender.send(record)
        except BaseException as error:
            span.end(error)
            raise
        receipt.on_settled(span.end)
        return receipt

    async def send_whole(self, entries: OutgoingEntries) -> Receipt | None:
        """See EntrySender. What has no headers is no publish."""
        return await send_whole(self._sender, entries)

    async def flush(self) -> None:
        """See RecordSender."""
        await self._sender.flush()

    async def close(self) -> None:
        """See RecordSender."""
        await self._sender.close()

    def _begun(self, record: OutgoingRecord, own: TraceContext) -> Span:
        event_id = (first_header(record.headers, CE_ID) or b"").decode(errors="replace")
        event_type = (first_header(record.headers, CE_TYPE) or b"").decode(errors="replace")
        parent = self._tracing.emitted_from.forget(event_id) or self._tracing.tracer.current()
        is_ours = parent is not None and parent.trace_id == own.trace_id
        return self._tracing.tracer.start(
            SpanPlan(
                name=f"publish {event_type}",
                kind=SpanKind.PRODUCER,
                own=own,
                parent=parent if is_ours else None,
                links=() if is_ours or parent is None else (parent,),
                attributes={
                    "messaging.system": "kafka",
                    "messaging.operation.type": "send",
                    "messaging.destination.name": record.topic,
                    "messaging.message.id": event_id,
                    "wundr.event.type": event_type,
                },
            )
        )


def in_trace(event: Event[Any], tracing: Tracing | None) -> Event[Any]:
    """A root event with the trace that it belongs to in `metadata.trace_id`: the caller's, if any.

    What handlers emit has the trace of its cause: it stays as it is, so that a handler that runs
    again emits the same bytes whether or not it is traced.
    """
    if tracing is None or event.framed is not None or event.causation_id is not None:
        return event
    if is_trace_id(event.metadata.trace_id):
        return event
    current = tracing.tracer.current()
    trace_id = event_context(event).trace_id if current is None else current.trace_id
    metadata = event.metadata._replace(trace_id=trace_id)
    return Event(event.envelope._replace(metadata=metadata), event.data)


def event_context(event: Event[Any]) -> TraceContext:
    """The span that has published an event."""
    return trace_context(event.id, event.correlation_id, event.metadata.trace_id)


def _traced_function(handler: Handler, group: str, tracing: Tracing) -> HandlerFunction:
    function = handler.function

    async def handle(event: Event[Any], context: Context) -> None:
        span = tracing.tracer.start(
            SpanPlan(
                name=f"handle {handler.name}",
                kind=SpanKind.CONSUMER,
                parent=event_context(event),
                attributes={
                    **_consumer(handler.name, group),
                    "messaging.destination.name": event.topic,
                    "messaging.message.id": event.id,
                    "wundr.event.type": event.type,
                },
            )
        )
        await _run(function(event, context), span)
        tracing.emitted_from.remember((new.id for new in context.emitted), span.context)

    return handle


def _traced_batch_function(
    handler: BatchHandler, group: str, tracing: Tracing
) -> BatchHandlerFunction:
    function = handler.function

    async def handle(events: Sequence[Event[Any]], context: BatchContext) -> None:
        span = tracing.tracer.start(
            SpanPlan(
                name=f"handle {handler.name}",
                kind=SpanKind.CONSUMER,
                links=tuple(event_context(event) for event in events),
                attributes={
                    **_consumer(handler.name, group),
                    "messaging.batch.message_count": len(events),
                },
            )
        )
        await _run(function(events, context), span)
        tracing.emitted_from.remember((new.id for new in context.emitted), span.context)

    return handle


def _consumer(handler: str, group: str) -> dict[str, str | int]:
    return {
        "messaging.system": "kafka",
        "messaging.operation.type": "process",
        "messaging.consumer.group.name": group,
        "wundr.handler": handler,
    }


async def _run(work: Awaitable[None], span: Span) -> None:
    """The work inside its span, which ends with it."""
    try:
        await _within(_awaited(work), span.inside())
    except BaseException as error:
        span.end(error)
        raise
    span.end()


async def _awaited(work: Awaitable[None]) -> None:
    await work


@coroutine
def _within(work: Any, variables: Variables) -> Generator[Any, Any, None]:
    """Run a coroutine with context variables of its own.

    A handler begins without a task and may be finished in another one: what it sets must not be
    seen outside, and what is set for it must be there to its end.
    """
    answer: Any = None
    error: BaseException | None = None
    while True:
        try:
            if error is None:
                waits_for = variables.run(work.send, answer)
            else:
                waits_for = variables.run(work.throw, error)
        except StopIteration:
            return
        answer, error = None, None
        try:
            answer = yield waits_for
        except BaseException as raised:  # noqa: BLE001  # it belongs to the work, which may catch it
            error = raised


WITHIN: Final = _within.__code__
"""Whose frame, while it waits, has the work in `work`: for those who look into tasks."""
