"""The EventBus: publish events, subscribe to them, ask for what is stored."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from schemas.event import Event
from streams.handler import HandlerFunction
from streams.receipt import Receipt


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """A named consumer group `<app>.<name>`: the unit of progress."""

    app: str
    name: str
    pattern: str

    @property
    def group(self) -> str:
        """The consumer group."""
        return f"{self.app}.{self.name}"


class EventBus(Protocol):
    """Publishing and subscribing for one app, with the operations of the ADR.

    Two buses of one app compete for a subscription's events; each app gets a copy.
    """

    async def publish(self, event: Event[Any]) -> Receipt:
        """Buffer the event and return its receipt; waits while the buffer is full.

        Raises AppendRequired for a type that is appended, InvalidEventData, UnknownEventType,
        EventTooLarge (nothing is sent) and BrokerUnavailable.
        """
        ...

    async def publish_batch(self, events: Sequence[Event[Any]]) -> list[Receipt]:
        """Publish in order.

        All events are encoded before the first is sent: a bad one refuses the batch whole. Raises
        BatchInterrupted when the log fails half way, with the receipts of what was sent.
        """
        ...

    async def subscribe(
        self, pattern: str, handler: HandlerFunction, *, name: str | None = None
    ) -> Subscription:
        """Deliver matching events to `handler` from now on; the name defaults to the handler's.

        A subscription that is new begins at the end of the log, one that is known where it stopped.
        """
        ...

    async def unsubscribe(self, subscription: Subscription) -> None:
        """Finish what is in work, then stop delivering.

        Raises UnknownSubscription, or what the subscription had ended with.
        """
        ...

    async def watch(self, subscription: Subscription) -> None:
        """Return when the subscription is given up; raise what it ends with by itself, at once.

        Infrastructure that is away ends no subscription, and a failing handler neither: what does
        is a defect. Raises UnknownSubscription.
        """
        ...

    async def get_events(
        self,
        aggregate_id: str,
        from_version: int | None = None,
        *,
        aggregate_type: str | None = None,
    ) -> list[Event[Any]]:
        """The history of an aggregate in order, from a version on; see StoredEvents."""
        ...

    async def get_events_by_correlation(self, correlation_id: str) -> list[Event[Any]]:
        """See StoredEvents."""
        ...

    async def close(self) -> None:
        """Unsubscribe all and drain.

        Raises NotDelivered with the ids that were not acknowledged.
        """
        ...
