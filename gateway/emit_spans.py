"""Spans of what reaches browsers: from the broker's time of a broadcast to its first client.

One for each broadcast and node, however many clients see it; none for what nobody sees here.
"""

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from gateway.broadcast import Broadcast
from schemas.headers import TRACEPARENT, TraceContext, read_traceparent
from streams.records import RawRecord, TopicPartition
from streams.tracing import SpanKind, SpanPlan, Tracer

WAITING: Final = 10_000
"""Broadcasts that may wait for their first client; the oldest are let go without a span."""


class EmitSpans:
    """Told of what was read and of what was written to a client."""

    def __init__(self, tracer: Tracer, limit: int = WAITING) -> None:
        self._tracer = tracer
        self._limit = limit
        self._waiting: OrderedDict[tuple[TopicPartition, int], TraceContext] = OrderedDict()

    def read(self, record: RawRecord) -> None:
        """A broadcast has arrived, live."""
        published = read_traceparent(record.header(TRACEPARENT))
        if published is None:
            return
        self._waiting[record.source, record.offset] = published
        if len(self._waiting) > self._limit:
            self._waiting.popitem(last=False)

    def emitted(self, broadcasts: Iterable[Broadcast]) -> None:
        """These were written to a client."""
        for broadcast in broadcasts:
            published = self._waiting.pop((broadcast.source, broadcast.offset), None)
            if published is not None:
                self._tracer.start(_plan(broadcast, published)).end()


def _plan(broadcast: Broadcast, published: TraceContext) -> SpanPlan:
    return SpanPlan(
        name=f"emit {broadcast.type}",
        kind=SpanKind.CONSUMER,
        parent=published,
        attributes={
            "messaging.system": "socket.io",
            "messaging.destination.name": broadcast.source.topic,
            "messaging.message.id": broadcast.id,
            "wundr.event.type": broadcast.type,
        },
        since_ms=broadcast.time_ms,
    )
