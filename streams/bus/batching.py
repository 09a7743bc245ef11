"""A bus that publishes in batches, and merges what may be merged: a stage in front of any bus."""

from collections.abc import Sequence
from typing import Any

from schemas.event import Event
from streams.batcher import (
    DEFAULT_LIMITS,
    BatchLimits,
    EventBatcher,
    Later,
    Outlet,
    later_on_the_loop,
)
from streams.bus.port import EventBus, Subscription
from streams.compressing import Compressing
from streams.compressor import EventCompressor
from streams.errors import NotDelivered
from streams.handler import HandlerFunction
from streams.receipt import Receipt


class BatchingBus:
    """Implements EventBus. Closing it closes the bus behind it.

    What `publish` of that bus raises, the receipt raises here; an event that nobody asks about is
    named by `close()`.
    """

    def __init__(
        self,
        bus: EventBus,
        limits: BatchLimits = DEFAULT_LIMITS,
        *,
        compressor: EventCompressor | None = None,
        later: Later = later_on_the_loop,
    ) -> None:
        self._bus = bus
        self._outlet: Outlet = bus if compressor is None else Compressing(bus, compressor)
        self._batcher = EventBatcher(self._outlet, limits, later=later)

    async def publish(self, event: Event[Any]) -> Receipt:
        """See EventBatcher.publish."""
        return await self._batcher.publish(event)

    async def publish_batch(self, events: Sequence[Event[Any]]) -> list[Receipt]:
        """See EventBus; the batch goes behind all that was published before."""
        await self._batcher.flush()
        return await self._outlet.publish_batch(events)

    async def flush(self) -> None:
        """See EventBatcher.flush."""
        await self._batcher.flush()

    async def subscribe(
        self, pattern: str, handler: HandlerFunction, *, name: str | None = None
    ) -> Subscription:
        """See EventBus."""
        return await self._bus.subscribe(pattern, handler, name=name)

    async def unsubscribe(self, subscription: Subscription) -> None:
        """See EventBus."""
        await self._bus.unsubscribe(subscription)

    async def watch(self, subscription: Subscription) -> None:
        """See EventBus."""
        await self._bus.watch(subscription)

    async def get_events(
        self,
        aggregate_id: str,
        from_version: int | None = None,
        *,
        aggregate_type: str | None = None,
    ) -> list[Event[Any]]:
        """See EventBus."""
        return await self._bus.get_events(aggregate_id, from_version, aggregate_type=aggregate_type)

    async def get_events_by_correlation(self, correlation_id: str) -> list[Event[Any]]:
        """See EventBus."""
        return await self._bus.get_events_by_correlation(correlation_id)

    async def close(self) -> None:
        """See EventBus: what waits is handed over first. Raises NotDelivered for both stages."""
        missing: list[str] = []
        for stage in (self._batcher, self._bus):
            try:
                await stage.close()
            except NotDelivered as not_delivered:
                missing += not_delivered.event_ids
        if missing:
            raise NotDelivered(tuple(dict.fromkeys(missing)))
