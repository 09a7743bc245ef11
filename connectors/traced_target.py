"""A sink's target with a span for each stored batch, linked to what published its events."""

from collections.abc import Iterable, Mapping
from typing import Final

from connectors.sink_target import Batch, Claim, SinkTarget, Stored
from schemas.headers import trace_context
from streams.tracing import SpanKind, SpanPlan, Tracing

DATABASE: Final = "postgresql"


def traced_target(target: SinkTarget, tracing: Tracing | None) -> SinkTarget:
    """The target with spans; the same one without tracing."""
    return target if tracing is None else TracedTarget(target, tracing)


class TracedTarget:
    """Implements SinkTarget on another one."""

    def __init__(self, target: SinkTarget, tracing: Tracing) -> None:
        self._target = target
        self._tracing = tracing

    async def claim(self, topic_id: str, partitions: Iterable[int]) -> Mapping[int, Claim]:
        """See SinkTarget."""
        return await self._target.claim(topic_id, partitions)

    async def store(self, topic_id: str, batch: Batch) -> Stored:
        """See SinkTarget."""
        rows = [placed.row for placed in batch.rows]
        span = self._tracing.tracer.start(
            SpanPlan(
                name="store events",
                kind=SpanKind.CONSUMER,
                links=[
                    trace_context(row.event_id, row.correlation_id, row.trace_id) for row in rows
                ],
                attributes={
                    "db.system.name": DATABASE,
                    "messaging.system": "kafka",
                    "messaging.operation.type": "process",
                    "messaging.batch.message_count": len(rows),
                },
            )
        )
        try:
            stored = await self._target.store(topic_id, batch)
        except BaseException as error:
            span.end(error)
            raise
        span.end()
        return stored
